//! Which listener serves a socket: the one that has it, or the one that had it last.

use super::{AdminListener, Listener, Snapshot};
use crate::engine::sockets::{ListeningSocket, Role};
use std::sync::Arc;

/// How many former sockets one remembers. The oldest have no connections left.
const FORMER: usize = 64;

/// A socket that a listener had before an edit moved it to another address.
#[derive(Clone)]
pub struct Former {
    id: u32,
    role: Role,
    listener: Arc<str>,
}

impl Snapshot {
    /// The listener on the socket `id`, or on the socket that replaced it. If an edit moved the listener to another
    /// address, it still serves its open connections. `None` if an edit removed it.
    pub fn listener(&self, id: u32) -> Option<&Listener> {
        let taken_over = || self.listeners.iter().find(|listener| listener.socket.succeeds(id));
        let moved = || self.named(self.had(Role::Listener, id)?);
        self.listeners.iter().find(|listener| listener.socket.id() == id).or_else(taken_over).or_else(moved)
    }

    /// The admin address, if it is on the socket `id`, or on the one that replaced it, or was there before.
    pub fn admin_on(&self, id: u32) -> Option<&AdminListener> {
        let moved = || self.had(Role::Admin, id).is_some();
        self.admin.as_ref().filter(|admin| admin.socket.id() == id || admin.socket.succeeds(id) || moved())
    }

    /// The listener to which the socket `id`, or the one that it replaced, redirects, or did before.
    pub fn redirect_on(&self, id: u32) -> Option<&Listener> {
        let redirects = |socket: &Arc<ListeningSocket>| socket.id() == id || socket.succeeds(id);
        let moved = || self.named(self.had(Role::Redirect, id)?).filter(|listener| listener.redirect.is_some());
        self.listeners.iter().find(|listener| listener.redirect.as_ref().is_some_and(redirects)).or_else(moved)
    }

    /// Whether requests on the connections of this socket are served.
    pub fn serves(&self, socket: &ListeningSocket) -> bool {
        match socket.role() {
            Role::Listener => self.listener(socket.id()).is_some(),
            Role::Admin => self.admin_on(socket.id()).is_some(),
            Role::Redirect => self.redirect_on(socket.id()).is_some(),
        }
    }

    /// The sockets of all listeners, of their redirects, and of the admin address.
    pub fn sockets(&self) -> impl Iterator<Item = &Arc<ListeningSocket>> {
        self.owned_sockets().map(|(socket, _)| socket)
    }

    /// Remembers which listener had each socket of the snapshot that this one replaces.
    pub fn succeed(&mut self, serving: &Self) {
        let had = serving.owned_sockets().map(|(socket, listener)| Former {
            id: socket.id(),
            role: socket.role(),
            listener: listener.map_or_else(Arc::default, Arc::clone),
        });
        let had: Vec<_> = had.collect();
        let older = serving.former.iter().filter(|old| !had.iter().any(|newer| newer.id == old.id)).cloned();
        let mut former: Vec<_> = older.chain(had.iter().cloned()).collect();
        former.retain(|old| !self.sockets().any(|socket| socket.id() == old.id));
        former.drain(..former.len().saturating_sub(FORMER));
        self.former = former;
    }

    /// Each socket with the name of its listener; the admin address has none.
    fn owned_sockets(&self) -> impl Iterator<Item = (&Arc<ListeningSocket>, Option<&Arc<str>>)> {
        let listeners = self.listeners.iter().flat_map(|listener| {
            std::iter::once(&listener.socket).chain(&listener.redirect).map(|socket| (socket, Some(&listener.name)))
        });
        listeners.chain(self.admin.iter().map(|admin| (&admin.socket, None)))
    }

    /// The name of the listener that had the socket `id` last.
    fn had(&self, role: Role, id: u32) -> Option<&str> {
        self.former.iter().find(|former| (former.role, former.id) == (role, id)).map(|former| &*former.listener)
    }

    fn named(&self, name: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| &*listener.name == name)
    }
}
