//! Listening sockets: bound and registered before a snapshot is swapped in, and kept across reloads by role and
//! address.

use crate::config::document::address::ListenAddress;
use crate::config::document::socket_mode::SocketMode;
use crate::net::{BoundSocket, Reserved};
use gatewright_sdk::Keep;
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

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
    written: ListenAddress,
    options: Mutex<Options>,
    state: Mutex<SocketState>,
    /// The sockets that this one replaced: same role and overlapping address. It serves their remaining connections.
    predecessors: Mutex<Vec<u32>>,
}

/// What can change while the address stays.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether other processes may bind the same address.
    pub shared: bool,
    /// The permissions of a Unix socket.
    pub mode: SocketMode,
}

enum SocketState {
    Unbound,
    /// Not listening yet.
    Reserved(Reservation),
    /// Listening, but not accepting yet. The first socket has the address, the others have addresses that it covers.
    Listening(Vec<Arc<BoundSocket>>),
    /// Accepting, while the acceptor holds the sockets.
    Accepting(Vec<Weak<BoundSocket>>),
}

/// What will listen.
struct Reservation {
    first: First,
    covered: Vec<Arc<BoundSocket>>,
}

enum First {
    New(Reserved),
    /// A socket that is given up, with the connections queued on it.
    Inherited(Arc<BoundSocket>),
}

impl ListeningSocket {
    /// The kept socket of an address in a role. Port 0 means any free port, so the name is then part of the key. The
    /// options apply from the next preparation on. A Unix socket whose file was deleted is replaced by another.
    pub fn kept(role: Role, name: &str, address: ListenAddress, options: Options, keep: &Keep) -> Arc<Self> {
        let name = if address.ip().is_some_and(|address| address.port() == 0) { name } else { "" };
        let make = || Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            role,
            written: address.clone(),
            options: Mutex::new(options),
            state: Mutex::new(SocketState::Unbound),
            predecessors: Mutex::default(),
        };
        let mut turn = 0;
        let kept = loop {
            let kept = keep.get_or_make(&format!("socket {role:?} {name} {address} {turn}"), make);
            if !kept.listening().iter().any(|socket| socket.is_unreachable()) {
                break kept;
            }
            turn += 1;
        };
        *kept.options.lock() = options;
        kept
    }

    /// Identifies this socket while the process runs.
    pub const fn id(&self) -> u32 {
        self.id
    }

    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether this socket replaced `id` and serves its connections.
    pub fn succeeds(&self, id: u32) -> bool {
        self.predecessors.lock().contains(&id)
    }

    fn succeed(&self, given_up: &[Arc<Self>]) {
        let heirless = given_up.iter().filter(|old| old.role == self.role && old.address().overlaps(&self.written));
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
    /// queued on it. If a wildcard replaces a single address, the socket of that address is kept beside it, because the
    /// kernel prefers it: no connection is lost. The reverse is a new socket, which the kernel prefers from the start.
    /// Errors are those of the operating system.
    pub fn reserve(&self, given_up: &[Arc<Self>]) -> io::Result<()> {
        let (mut state, Options { shared, mode }) = (self.state.lock(), *self.options.lock());
        match &*state {
            SocketState::Reserved(_) | SocketState::Listening(_) => return Ok(()),
            SocketState::Accepting(accepting) => {
                let listening: Vec<_> = accepting.iter().filter_map(Weak::upgrade).collect();
                if !listening.is_empty() {
                    return listening.iter().try_for_each(|socket| socket.set_reuse_port(shared));
                }
            }
            SocketState::Unbound => {}
        }
        self.succeed(given_up);
        let free: Vec<_> =
            given_up.iter().flat_map(|old| old.listening()).filter(|old| !old.is_unreachable()).collect();
        let those = |fits: &dyn Fn(&ListenAddress) -> bool| {
            let fitting = free.iter().filter(|old| old.address().is_some_and(|address| fits(&address)));
            fitting.cloned().collect::<Vec<_>>()
        };
        let covered = those(&|address| self.written.covers(address));
        let first = match (those(&|address| *address == self.written).pop(), &self.written) {
            (Some(same), _) => First::Inherited(same),
            (None, ListenAddress::Unix(path)) => First::New(Reserved::unix(path, mode, shared)?),
            (None, ListenAddress::Ip(address)) => {
                // The kernel allows `0.0.0.0` and `127.0.0.1` to share a port if both sockets set SO_REUSEPORT. It is set
                // only when the other socket is one we give up, so that conflicts with other programs are still detected.
                let overlapping = those(&|address| self.written.overlaps(address));
                overlapping.iter().try_for_each(|old| old.set_reuse_port(true))?;
                First::New(Reserved::tcp(*address, shared || !overlapping.is_empty())?)
            }
        };
        *state = SocketState::Reserved(Reservation { first, covered });
        Ok(())
    }

    /// Starts listening: connections queue until they are accepted. Also registers the socket with the current runtime,
    /// so that nothing can fail after the swap.
    pub fn listen(&self) -> io::Result<()> {
        let (mut state, Options { shared, mode }) = (self.state.lock(), *self.options.lock());
        match std::mem::replace(&mut *state, SocketState::Unbound) {
            SocketState::Reserved(Reservation { first, covered }) => {
                let first = match first {
                    First::New(reserved) => Arc::new(reserved.listen(shared)?),
                    First::Inherited(same) => same,
                };
                let sockets: Vec<_> = std::iter::once(first).chain(covered).collect();
                sockets.iter().try_for_each(|socket| socket.set_reuse_port(shared))?;
                *state = SocketState::Listening(sockets);
            }
            other => *state = other,
        }
        drop(state);
        self.listening().iter().try_for_each(|socket| socket.set_mode(mode))
    }

    /// Hands the listening sockets to the acceptor; there is only one at a time.
    pub fn take(&self) -> Option<Vec<Arc<BoundSocket>>> {
        let mut state = self.state.lock();
        let SocketState::Listening(listening) = &*state else { return None };
        let listening = listening.clone();
        *state = SocketState::Accepting(listening.iter().map(Arc::downgrade).collect());
        Some(listening)
    }

    /// The bound address (port 0 becomes the actual port), or the configured one before it is bound.
    pub fn address(&self) -> ListenAddress {
        let first = self.listening().into_iter().next();
        first.and_then(|listening| listening.address()).unwrap_or_else(|| self.written.clone())
    }

    /// The sockets that listen.
    pub fn listening(&self) -> Vec<Arc<BoundSocket>> {
        match &*self.state.lock() {
            SocketState::Unbound | SocketState::Reserved(_) => Vec::new(),
            SocketState::Listening(listening) => listening.clone(),
            SocketState::Accepting(accepting) => accepting.iter().filter_map(Weak::upgrade).collect(),
        }
    }

    /// Forgets the sockets, after they were given up: another may hold them by now.
    pub fn give_up(&self) {
        *self.state.lock() = SocketState::Unbound;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::Peer;
    use tokio::runtime::Builder;

    #[test]
    fn a_socket_is_registered_when_it_listens_so_that_nothing_can_fail_once_it_is_accepted_from() {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let options = Options { shared: false, mode: SocketMode::GROUP };
        let address = "127.0.0.1:0".parse().unwrap();
        let socket = ListeningSocket::kept(Role::Listener, "web", address, options, &Keep::default());
        socket.reserve(&[]).unwrap();
        runtime.block_on(async { socket.listen() }).unwrap();
        // An unregistered socket would be registered here, outside a runtime, and panic.
        let listening = socket.take().unwrap().remove(0);
        let client = std::net::TcpStream::connect(socket.address().ip().unwrap()).unwrap();
        let (_, peer) = runtime.block_on(listening.accept()).unwrap();
        assert_eq!(peer, Peer::Tcp(client.local_addr().unwrap()));
    }
}
