//! The same tests with database files: their stores are files in the folder `TEST_SQLITE`, if that is set.

use super::postgres;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const FOLDER: &str = "TEST_SQLITE";

fn folder() -> Option<String> {
    std::env::var(FOLDER).ok().filter(|folder| !folder.is_empty())
}

/// The URL of a new file.
pub fn url() -> Option<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (folder, number) = (folder()?, COUNT.fetch_add(1, Ordering::Relaxed));
    Some(format!("sqlite://{folder}/{}-{number}.db", std::process::id()))
}

/// A file is read by other connections than the one that writes. In memory there is only one.
#[test]
fn the_rows_hold_for_a_store_in_a_file_too() {
    if folder().is_some() || postgres::server().is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    // One of the tests has stores of both kinds anyway.
    again.args(["resource::handlers::tests::", "--skip", "no_sequence_of_writes_and_lists"]);
    let ran = again.env(FOLDER, folder.path()).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "with {FOLDER}={}:\n{out}\n{errors}", folder.path().display());
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(files > 300, "only {files} files: the tests did not use the folder");
}
