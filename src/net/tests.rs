//! Unix sockets: who may create one where, and when its file is removed.

use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const MODE: SocketMode = SocketMode::GROUP;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.sock");
    (folder, path)
}

fn files(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

fn refused(path: &Path) -> Option<io::ErrorKind> {
    Reserved::unix(path, MODE, false).err().map(|error| error.kind())
}

#[tokio::test]
async fn a_socket_appears_when_it_listens_and_goes_with_its_last_holder() {
    let (folder, path) = folder();
    let reserved = Reserved::unix(&path, MODE, false).unwrap();
    assert!(!path.exists());
    drop(reserved);
    assert!(files(&folder).is_empty());
    let socket = Reserved::unix(&path, MODE, false).unwrap().listen(false).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    socket.set_mode("0600".parse().unwrap()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let _client = UnixStream::connect(&path).unwrap();
    assert!(matches!(socket.accept().await, Ok((_, Peer::Unix))));
    drop(socket);
    assert!(files(&folder).is_empty());
}

#[tokio::test]
async fn only_the_socket_of_a_process_that_has_ended_is_replaced() {
    let (_folder, path) = folder();
    let listening = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(refused(&path), Some(io::ErrorKind::AddrInUse));
    let reserved = Reserved::unix(&path, MODE, true).unwrap();
    drop(listening);
    // The file of a process that was killed.
    assert!(path.exists());
    assert_eq!(refused(&path), None);
    drop(reserved.listen(false).unwrap());
    assert!(!path.exists());
}

#[tokio::test]
async fn two_that_reserve_the_same_path_do_not_both_listen() {
    let (_folder, path) = folder();
    let (first, second) = (Reserved::unix(&path, MODE, false).unwrap(), Reserved::unix(&path, MODE, false).unwrap());
    let _first = first.listen(false).unwrap();
    assert_eq!(second.listen(false).err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    assert!(UnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn a_socket_that_was_replaced_does_not_remove_its_successor() {
    let (_folder, path) = folder();
    let old = Reserved::unix(&path, MODE, false).unwrap().listen(false).unwrap();
    let new = Reserved::unix(&path, MODE, true).unwrap().listen(false).unwrap();
    drop(old);
    let _client = UnixStream::connect(&path).unwrap();
    assert!(new.queued().is_some());
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let (folder, path) = folder();
    fs::write(&path, "text").unwrap();
    assert_eq!(refused(&path), Some(io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    assert_eq!(refused(&folder.path().join("missing/gate.sock")), Some(io::ErrorKind::NotFound));
    let long = folder.path().join("x".repeat(100));
    assert_eq!(refused(&long), Some(io::ErrorKind::InvalidInput));
}

#[tokio::test]
async fn a_withdrawn_socket_refuses_new_clients_and_keeps_those_that_wait() {
    let (_folder, path) = folder();
    let socket = Reserved::unix(&path, MODE, false).unwrap().listen(false).unwrap();
    let (_first, _second) = (UnixStream::connect(&path).unwrap(), UnixStream::connect(&path).unwrap());
    let link = path.with_extension("link");
    fs::hard_link(&path, &link).unwrap();
    assert!(socket.withdraw());
    assert!(!path.exists());
    assert_eq!(UnixStream::connect(&link).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert!(socket.queued().is_some() && socket.queued().is_some() && socket.queued().is_none());
}
