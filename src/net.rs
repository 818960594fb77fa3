//! Listening sockets, TCP and Unix alike: bound first, then listening.

mod socket_file;

use crate::config::document::address::ListenAddress;
use crate::config::document::socket_mode::SocketMode;
use gatewright_sdk::Peer;
use socket_file::SocketFile;
#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

/// Connections the kernel queues while none is accepted.
const BACKLOG: i32 = 1024;

/// How long a connection is idle before TCP keepalive probes begin.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A packet filter that drops everything.
#[cfg(target_os = "linux")]
const DROP_ALL: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

/// A packet filter that drops the first packet of each connection: of the flags in byte 13, SYN is set and ACK is not.
#[cfg(target_os = "linux")]
const DROP_FIRST: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// A connection through a Unix socket, as the type that connections over TCP have: reading, writing and closing are the
/// same system calls for both. Only options of TCP and addresses differ, and nothing asks a connection for those.
pub fn as_tcp(stream: UnixStream) -> TcpStream {
    OwnedFd::from(stream).into()
}

/// A socket that has its address, but does not listen yet.
pub struct Reserved {
    socket: Socket,
    /// Its file, under a name that no client uses yet, and its real name.
    file: Option<(SocketFile, PathBuf)>,
    /// Whether the socket of another process is replaced.
    replaces: bool,
}

impl Reserved {
    /// Binds a TCP address.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn tcp(address: SocketAddr, reuse_port: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_port(reuse_port)?;
        socket.bind(&address.into())?;
        Ok(Self { socket, file: None, replaces: false })
    }

    /// Binds a Unix socket with these permissions. It gets its name when it listens, so that no client ever finds a
    /// socket that is not ready. The file of a process that has ended is replaced; that of a running one only if
    /// `replaces` is set.
    ///
    /// # Errors
    /// `AddrInUse`: a process listens there. `AlreadyExists`: the file is not a socket. Otherwise those of the operating
    /// system; `InvalidInput` if the path is too long.
    pub fn unix(path: &Path, mode: SocketMode, replaces: bool) -> io::Result<Self> {
        check_free(path, replaces)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let beside = socket_file::beside(path);
        let _ = fs::remove_file(&beside);
        socket.bind(&SockAddr::unix(&beside)?)?;
        let file = SocketFile::bound(beside)?;
        file.set_mode(mode)?;
        Ok(Self { socket, file: Some((file, path.to_owned())), replaces })
    }

    /// Listens: connections queue until they are accepted. Registers the socket with the current runtime, so that nothing
    /// can fail later.
    ///
    /// # Errors
    /// Those of [`Reserved::unix`].
    pub fn listen(self, reuse_port: bool) -> io::Result<BoundSocket> {
        self.socket.listen(BACKLOG)?;
        let Some((mut file, path)) = self.file else {
            self.socket.set_reuse_port(reuse_port)?;
            return Ok(BoundSocket::Tcp(TcpListener::from_std(self.socket.into())?));
        };
        let listener = UnixListener::from_std(OwnedFd::from(self.socket).into())?;
        // Another process may have come first.
        check_free(&path, self.replaces)?;
        file.rename(path)?;
        Ok(BoundSocket::Unix(file, listener))
    }
}

/// Whether a socket can be created at `path`.
fn check_free(path: &Path, replaces: bool) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        // A missing folder is found when the socket is bound.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) if replaces || !is_listening(path)? => Ok(()),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Whether a process listens on the socket at `path`.
fn is_listening(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full queue must not block.
    socket.set_nonblocking(true)?;
    let gone = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
    Ok(!socket.connect(&SockAddr::unix(path)?).is_err_and(|error| gone.contains(&error.kind())))
}

/// A socket that listens. The file of a Unix socket is removed before it closes, unless another socket has replaced it.
pub enum BoundSocket {
    Tcp(TcpListener),
    Unix(SocketFile, UnixListener),
}

impl BoundSocket {
    /// The next connection.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((stream.into_std()?, Peer::Tcp(peer)))
            }
            Self::Unix(_, listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((as_tcp(stream.into_std()?), Peer::Unix))
            }
        }
    }

    /// A connection that is queued now.
    pub fn queued(&self) -> Option<(TcpStream, Peer)> {
        let (stream, peer) = self.raw().accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((OwnedFd::from(stream).into(), peer.as_socket().map_or(Peer::Unix, Peer::Tcp)))
    }

    /// Removes a Unix socket and refuses new connections, so that only queued ones are left. `false` for TCP, where new
    /// connections cannot be refused before the socket closes.
    pub fn withdraw(&self) -> bool {
        let Self::Unix(file, _) = self else { return false };
        file.remove();
        // From now on the socket always looks readable, so it must not be awaited.
        let _ = self.raw().shutdown(Shutdown::Read);
        true
    }

    /// Drops the packets of new connections, so that none begins between the last look at the queue and the close. A
    /// client that connects at that moment retries after a second, with whatever is listening by then.
    pub fn drop_packets(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.raw().attach_filter(&DROP_ALL);
    }

    /// The same, but connections whose handshake has begun can complete it.
    pub fn drop_first_packets(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.raw().attach_filter(&DROP_FIRST);
    }

    /// Sets whether other sockets may bind the same TCP address.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn set_reuse_port(&self, reuse_port: bool) -> io::Result<()> {
        match self {
            Self::Tcp(_) => self.raw().set_reuse_port(reuse_port),
            Self::Unix(..) => Ok(()),
        }
    }

    /// Sets the permissions of a Unix socket.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn set_mode(&self, mode: SocketMode) -> io::Result<()> {
        match self {
            Self::Tcp(_) => Ok(()),
            Self::Unix(file, _) => file.set_mode(mode),
        }
    }

    /// Whether no client can reach it, because the file of the Unix socket was deleted.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unix(file, _) if file.is_deleted())
    }

    /// Its address. Port 0 has become the actual port.
    pub fn address(&self) -> Option<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(ListenAddress::Ip),
            Self::Unix(file, _) => Some(ListenAddress::Unix(file.path().to_owned())),
        }
    }

    fn raw(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(listener) => SockRef::from(listener),
            Self::Unix(_, listener) => SockRef::from(listener),
        }
    }
}

#[cfg(test)]
mod tests;
