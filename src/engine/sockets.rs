//! Listening sockets: bound and registered before a snapshot is swapped in, kept across reloads by role and address.

use gatewright_sdk::Keep;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections the kernel holds for us while none is accepted.
const BACKLOG: i32 = 1024;

/// A peer that is silent for so long is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How many sockets are remembered whose clients one has taken over.
const PREDECESSORS: usize = 8;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What an address is for. Who accepts from a socket never changes: the same address in another role is another socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Listener,
    Admin,
}

/// The socket of one address in one role. Nothing is opened when it is made, so that building a snapshot opens nothing.
pub struct ListeningSocket {
    id: u32,
    role: Role,
    written: SocketAddr,
    state: Mutex<SocketState>,
    /// The sockets whose clients are this one's, since they are gone: of the same role and an address that overlaps.
    predecessors: Mutex<Vec<u32>>,
}

enum SocketState {
    Unbound,
    /// Bound, but no connection can be made yet.
    Reserved(RawSocket),
    /// Connections can be made, and none is accepted yet.
    Listening(Arc<TcpListener>),
    /// Connections are accepted, as long as the one who accepts holds the socket.
    Accepting(Weak<TcpListener>),
}

impl ListeningSocket {
    /// The kept socket of an address in a role. A port of 0 takes a free one, so there the name tells sockets apart.
    pub fn kept(role: Role, name: &str, address: SocketAddr, keep: &Keep) -> Arc<Self> {
        let name = if address.port() == 0 { name } else { "" };
        keep.get_or_make(&format!("socket {role:?} {name} {address}"), || Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            role,
            written: address,
            state: Mutex::new(SocketState::Unbound),
            predecessors: Mutex::default(),
        })
    }

    /// Names this socket as long as the process runs.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether requests of connections that were accepted from the socket `id` are for this one, though it is another.
    pub fn succeeds(&self, id: u32) -> bool {
        self.predecessors.lock().contains(&id)
    }

    fn succeed(&self, given_up: &[Arc<Self>]) {
        let heirless = given_up.iter().filter(|old| old.role == self.role && overlap(old.address(), self.written));
        for old in heirless {
            let mut known = old.predecessors.lock().clone();
            known.push(old.id);
            // Of those long gone no connection is left.
            known.drain(..known.len().saturating_sub(PREDECESSORS));
            self.predecessors.lock().append(&mut known);
        }
    }

    /// Binds unless bound already, without letting connections in: a configuration that is refused later must not have
    /// had any. Where one of the sockets that are `given_up` has this address, it is taken over with the connections
    /// that wait in it; one whose address overlaps serves on until the swap. Errors are the operating system's.
    pub fn reserve(&self, given_up: &[Arc<Self>]) -> io::Result<()> {
        let mut state = self.state.lock();
        match &*state {
            SocketState::Reserved(_) | SocketState::Listening(_) => return Ok(()),
            SocketState::Accepting(accepting) if accepting.strong_count() > 0 => return Ok(()),
            SocketState::Accepting(_) | SocketState::Unbound => {}
        }
        self.succeed(given_up);
        let same = given_up.iter().find(|old| self.written.port() != 0 && old.address() == self.written);
        if let Some(listening) = same.and_then(|old| old.listening()) {
            *state = SocketState::Listening(listening);
            return Ok(());
        }
        let socket = RawSocket::new(Domain::for_address(self.written), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        socket.set_nonblocking(true)?;
        // The kernel lets `0.0.0.0` and `127.0.0.1` have one port when both sockets say that they share it. It is said for
        // sockets that are given up alone: another program is still in the way, and we in its.
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

    /// Lets connections in: they wait until they are accepted. Also registers the socket with the runtime that this is
    /// called on, so that nothing is left that could fail once the snapshot is swapped in.
    pub fn listen(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        if !matches!(&*state, SocketState::Reserved(_)) {
            return Ok(());
        }
        if let SocketState::Reserved(socket) = std::mem::replace(&mut *state, SocketState::Unbound) {
            socket.listen(BACKLOG)?;
            socket.set_reuse_port(false)?;
            *state = SocketState::Listening(Arc::new(TcpListener::from_std(socket.into())?));
        }
        Ok(())
    }

    /// Gives the listening socket to the one who accepts from it; there is one at a time.
    pub fn take(&self) -> Option<Arc<TcpListener>> {
        let mut state = self.state.lock();
        let SocketState::Listening(listening) = &*state else { return None };
        let listening = Arc::clone(listening);
        *state = SocketState::Accepting(Arc::downgrade(&listening));
        Some(listening)
    }

    /// The address it really has (a port of 0 becomes a free one), or the written one before it is bound.
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

/// Whether the two cannot be bound beside each other. An address of all interfaces takes its port from every other one.
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
        // What is not registered by now would have to be here, where there is no runtime, and panic.
        let listening = socket.take().unwrap();
        let client = std::net::TcpStream::connect(listening.local_addr().unwrap()).unwrap();
        let (_, peer) = runtime.block_on(listening.accept()).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
}
