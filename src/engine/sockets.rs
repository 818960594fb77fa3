//! Listening sockets: bound before a snapshot is swapped in, kept across reloads by address.

use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Connections the kernel holds for us while none is accepted.
const BACKLOG: i32 = 1024;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The socket of one address. It is bound by [`Socket::bind`], not when it is made: building a snapshot opens nothing.
pub struct Socket {
    id: u32,
    written: SocketAddr,
    state: Mutex<State>,
}

enum State {
    Unbound,
    /// Bound, and nobody accepts from it yet.
    Bound(TcpListener),
    /// Somebody accepts from it, at this address.
    Accepting(SocketAddr),
}

impl Socket {
    pub fn new(address: SocketAddr) -> Self {
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), written: address, state: Mutex::new(State::Unbound) }
    }

    /// Names this socket as long as the process runs.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Binds unless bound already. Errors are the operating system's.
    pub fn bind(&self) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Unbound) {
            let socket = RawSocket::new(Domain::for_address(self.written), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&self.written.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            *state = State::Bound(socket.into());
        }
        Ok(())
    }

    /// Gives the bound socket to the one who accepts from it; there is one at a time.
    pub fn take(&self) -> Option<TcpListener> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Bound(bound) = &*state else { return None };
        let address = bound.local_addr().unwrap_or(self.written);
        match std::mem::replace(&mut *state, State::Accepting(address)) {
            State::Bound(bound) => Some(bound),
            State::Unbound | State::Accepting(_) => None,
        }
    }

    /// The one who accepted has stopped: the address can be bound anew.
    pub fn release(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Unbound;
    }

    /// The address it really has (a port of 0 becomes a free one), or the written one before it is bound.
    pub fn address(&self) -> SocketAddr {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Unbound => self.written,
            State::Bound(bound) => bound.local_addr().unwrap_or(self.written),
            State::Accepting(address) => *address,
        }
    }
}
