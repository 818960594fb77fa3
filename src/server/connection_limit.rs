//! Limits the number of connections: in the whole process, and per client.

use gatewright_sdk::{ClientAddress, ClientKey};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// File descriptors that client connections never use: for log files, databases and the listeners themselves.
const RESERVED: usize = 64;

/// The descriptor limit that is assumed if the system does not report one.
const USUAL_DESCRIPTORS: u64 = 1024;

/// The limit of connections in the process. A proxied request needs a second descriptor, so client connections use at
/// most half of those available.
pub(super) struct ConnectionLimit {
    ceiling: usize,
    open: AtomicUsize,
    /// Notified whenever a connection ends, because another may be waiting.
    pub(super) freed: Notify,
}

impl ConnectionLimit {
    /// Half of the available descriptors, after raising the soft limit to the hard limit. The soft limit is low for the
    /// sake of programs that cannot handle more, and a process may raise it.
    pub(super) fn of_process() -> Self {
        let descriptors = rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::Resource::NOFILE.get_soft());
        let descriptors = usize::try_from(descriptors.unwrap_or(USUAL_DESCRIPTORS)).unwrap_or(usize::MAX);
        Self::with_ceiling((descriptors.saturating_sub(RESERVED) / 2).max(1))
    }

    pub(super) fn with_ceiling(ceiling: usize) -> Self {
        Self { ceiling, open: AtomicUsize::new(0), freed: Notify::new() }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.open() >= self.ceiling
    }

    pub(super) const fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// The file descriptors needed for a number of connections.
    pub(super) const fn descriptors_for(connections: usize) -> usize {
        connections.saturating_mul(2).saturating_add(RESERVED)
    }
}

/// The connections of one listener.
pub(super) struct Connections {
    limit: Arc<ConnectionLimit>,
    open: AtomicUsize,
    accepted: AtomicUsize,
    by_client: Mutex<HashMap<ClientKey, u32>>,
}

impl Connections {
    pub(super) fn new(limit: Arc<ConnectionLimit>) -> Self {
        Self { limit, open: AtomicUsize::new(0), accepted: AtomicUsize::new(0), by_client: Mutex::default() }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> &ConnectionLimit {
        &self.limit
    }

    /// A permit for a connection from `peer`, or `None` if that client already holds `per_client` of them. Whoever
    /// connects through a Unix socket cannot be told apart, so those connections are not counted per client.
    pub(super) fn admit(self: &Arc<Self>, peer: ClientAddress, per_client: u32) -> Option<Permit> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let client = peer.ip().map(|_| ClientKey::of(peer));
        if let Some(client) = client {
            let mut by_client = self.by_client.lock();
            let held = by_client.entry(client).or_insert(0);
            if *held >= per_client {
                return None;
            }
            *held += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.limit.open.fetch_add(1, Ordering::Relaxed);
        Some(Permit { connections: Arc::clone(self), client })
    }
}

/// The share of one connection in its limits, released when its socket is closed.
pub(super) struct Permit {
    connections: Arc<Connections>,
    /// The client that it counts for, if any.
    client: Option<ClientKey>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            let mut by_client = self.connections.by_client.lock();
            if let Some(held) = by_client.get_mut(client) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    by_client.remove(client);
                }
            }
        }
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        self.connections.limit.open.fetch_sub(1, Ordering::Relaxed);
        self.connections.limit.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_its_permits_and_no_more_until_one_is_released() {
        let limit = Arc::new(ConnectionLimit::with_ceiling(3));
        let connections = Arc::new(Connections::new(Arc::clone(&limit)));
        let [one, same_network, other]: [ClientAddress; 3] =
            ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"].map(|address| address.parse().unwrap());
        let first = connections.admit(one, 2).unwrap();
        let _second = connections.admit(same_network, 2).unwrap();
        assert!(connections.admit(one, 2).is_none(), "a /64 network is one client");
        let _third = connections.admit(other, 2).unwrap();
        assert!(limit.is_full());
        drop(first);
        assert!(!limit.is_full());
        assert!(connections.admit(one, 2).is_some());
        assert_eq!((connections.open(), connections.accepted()), (2, 5));
    }

    #[test]
    fn the_limit_per_client_does_not_apply_to_unix_sockets() {
        let connections = Arc::new(Connections::new(Arc::new(ConnectionLimit::with_ceiling(9))));
        let held: Vec<_> = (0..3).map_while(|_| connections.admit(ClientAddress::Unix, 1)).collect();
        assert_eq!((held.len(), connections.open()), (3, 3));
        drop(held);
        assert_eq!(connections.open(), 0);
    }
}
