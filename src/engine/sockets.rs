//! Listening sockets: bound and registered before a snapshot is swapped in, and kept across reloads by role and
//! address.

use gatewright_sdk::Keep;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections the kernel queues while none is accepted.
const BACKLOG: i32 = 1024;

/// How long a connection is idle before TCP keepalive probes begin.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How many replaced sockets one remembers.
const PREDECESSORS: usize = 8;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The role of an address. It never changes for a socket: the same address in another role is another socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Listener,
    Admin,
    /// Redirects to the https of a listener.
    Redirect,
}

/// The socket of one address in one role. Creating it opens nothing, so building a snapshot opens nothing.
pub struct ListeningSocket {
    id: u32,
    role: Role,
    written: SocketAddr,
    /// Whether other processes may bind the same address.
    shared: AtomicBool,
    state: Mutex<SocketState>,
    /// The sockets that this one replaced: same role and overlapping address. It serves their remaining connections.
    predecessors: Mutex<Vec<u32>>,
}

enum SocketState {
    Unbound,
    /// Bound, but not listening yet.
    Reserved(RawSocket),
    /// Listening, but not accepting yet.
    Listening(Arc<TcpListener>),
    /// Accepting, while the acceptor holds the socket.
    Accepting(Weak<TcpListener>),
}

impl ListeningSocket {
    /// The kept socket of an address in a role. Port 0 means any free port, so the name is then part of the key.
    pub fn kept(role: Role, name: &str, address: SocketAddr, keep: &Keep) -> Arc<Self> {
        let name = if address.port() == 0 { name } else { "" };
        keep.get_or_make(&format!("socket {role:?} {name} {address}"), || Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            role,
            written: address,
            shared: AtomicBool::new(false),
            state: Mutex::new(SocketState::Unbound),
            predecessors: Mutex::default(),
        })
    }

    /// Sets whether other processes may bind the same address, from the next preparation on.
    pub fn share(&self, shared: bool) {
        self.shared.store(shared, Ordering::Relaxed);
    }

    /// Identifies this socket while the process runs.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether this socket replaced `id` and serves its connections.
    pub fn succeeds(&self, id: u32) -> bool {
        self.predecessors.lock().contains(&id)
    }

    fn succeed(&self, given_up: &[Arc<Self>]) {
        let heirless = given_up.iter().filter(|old| old.role == self.role && overlap(old.address(), self.written));
        for old in heirless {
            let mut known = old.predecessors.lock().clone();
            known.push(old.id);
            // The oldest have no connections left.
            known.drain(..known.len().saturating_sub(PREDECESSORS));
            self.predecessors.lock().append(&mut known);
        }
    }

    /// Binds the address unless already bound, without accepting connections: a configuration that is rejected later
    /// must not have accepted any. If one of the `given_up` sockets has this address, it is reused with the connections
    /// queued on it; one with an overlapping address keeps serving until the swap. Errors are those of the operating
    /// system.
    pub fn reserve(&self, given_up: &[Arc<Self>]) -> io::Result<()> {
        let (mut state, shared) = (self.state.lock(), self.shared.load(Ordering::Relaxed));
        if let SocketState::Accepting(accepting) = &*state
            && let Some(listening) = accepting.upgrade()
        {
            SockRef::from(&*listening).set_reuse_port(shared)?;
        }
        match &*state {
            SocketState::Reserved(_) | SocketState::Listening(_) => return Ok(()),
            SocketState::Accepting(accepting) if accepting.strong_count() > 0 => return Ok(()),
            SocketState::Accepting(_) | SocketState::Unbound => {}
        }
        self.succeed(given_up);
        let same = given_up.iter().find(|old| self.written.port() != 0 && old.address() == self.written);
        if let Some(listening) = same.and_then(|old| old.listening()) {
            SockRef::from(&*listening).set_reuse_port(shared)?;
            *state = SocketState::Listening(listening);
            return Ok(());
        }
        let socket = RawSocket::new(Domain::for_address(self.written), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_port(shared)?;
        // The kernel allows `0.0.0.0` and `127.0.0.1` to share a port if both sockets set SO_REUSEPORT. It is set only
        // when the other socket is one we give up, so that conflicts with other programs are still detected.
        let overlapping = given_up.iter().filter(|old| overlap(old.address(), self.written));
        let overlapping: Vec<_> = overlapping.filter_map(|old| old.listening()).collect();
        for old in &overlapping {
            SockRef::from(&**old).set_reuse_port(true)?;
            socket.set_reuse_port(true)?;
        }
        socket.bind(&self.written.into())?;
        *state = SocketState::Reserved(socket);
        Ok(())
    }

    /// Starts listening: connections queue until they are accepted. Also registers the socket with the current runtime,
    /// so that nothing can fail after the swap.
    pub fn listen(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if !matches!(&*state, SocketState::Reserved(_)) {
            return Ok(());
        }
        if let SocketState::Reserved(socket) = std::mem::replace(&mut *state, SocketState::Unbound) {
            socket.listen(BACKLOG)?;
            socket.set_reuse_port(self.shared.load(Ordering::Relaxed))?;
            *state = SocketState::Listening(Arc::new(TcpListener::from_std(socket.into())?));
        }
        Ok(())
    }

    /// Hands the listening socket to the acceptor; there is only one at a time.
    pub fn take(&self) -> Option<Arc<TcpListener>> {
        let mut state = self.state.lock();
        let SocketState::Listening(listening) = &*state else { return None };
        let listening = Arc::clone(listening);
        *state = SocketState::Accepting(Arc::downgrade(&listening));
        Some(listening)
    }

    /// The bound address (port 0 becomes the actual port), or the configured one before it is bound.
    pub fn address(&self) -> SocketAddr {
        self.listening().and_then(|listening| listening.local_addr().ok()).unwrap_or(self.written)
    }

    fn listening(&self) -> Option<Arc<TcpListener>> {
        match &*self.state.lock() {
            SocketState::Unbound | SocketState::Reserved(_) => None,
            SocketState::Listening(listening) => Some(Arc::clone(listening)),
            SocketState::Accepting(accepting) => accepting.upgrade(),
        }
    }
}

/// Whether the two addresses conflict. A wildcard address conflicts with every address on its port.
pub fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let all = |address: SocketAddr, other: SocketAddr| {
        address.ip().is_unspecified() && (address.is_ipv6() || other.is_ipv4())
    };
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || all(a, b) || all(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    #[test]
    fn a_socket_is_registered_when_it_listens_so_that_nothing_can_fail_once_it_is_accepted_from() {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = ListeningSocket::kept(Role::Listener, "web", address, &Keep::default());
        socket.reserve(&[]).unwrap();
        runtime.block_on(async { socket.listen() }).unwrap();
        // An unregistered socket would be registered here, outside a runtime, and panic.
        let listening = socket.take().unwrap();
        let client = std::net::TcpStream::connect(listening.local_addr().unwrap()).unwrap();
        let (_, peer) = runtime.block_on(listening.accept()).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
}
