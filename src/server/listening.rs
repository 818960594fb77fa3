//! A listener as its connections see it: their terms, its shutdown stage, and their number.

use super::closed::ClosedCounts;
use super::connection_limit::Connections;
use crate::net::BoundSocket;
use crate::terms::ConnectionTerms;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use tokio_util::sync::CancellationToken;

/// The stage of a listener's shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stage {
    Open,
    /// New connections are still accepted; each is told to close with its next response.
    Closing,
    /// Nothing is accepted; requests in progress may finish.
    Draining,
    /// Whatever is left is closed.
    Cut,
}

/// How a listener stops accepting.
#[derive(Clone, Default)]
pub struct Leaving {
    /// The sockets that another listener holds. Their queues are left to it.
    pub handed_over: Vec<Weak<BoundSocket>>,
    /// Whether another socket serves this address from now on, so that handshakes that have begun can be completed.
    pub moved: bool,
    /// Whether requests on the open connections are still served. Each connection is told to close with its next
    /// response.
    pub served: bool,
}

/// A listener as its connections see it.
pub(super) struct Listening {
    /// The terms of new connections.
    terms: RwLock<Arc<ConnectionTerms>>,
    stage: AtomicU8,
    /// How often an edit has changed what the handshake establishes.
    handshakes: AtomicU32,
    pub(super) connections: Arc<Connections>,
    pub(super) counts: ClosedCounts,
    /// Tells the accepting task to end.
    pub(super) stop: CancellationToken,
    pub(super) leaving: RwLock<Leaving>,
    /// Set when accepting has ended and the listening socket has been released.
    pub(super) closed: CancellationToken,
}

impl Listening {
    pub(super) fn new(terms: ConnectionTerms, connections: Connections) -> Self {
        Self {
            terms: RwLock::new(Arc::new(terms)),
            stage: AtomicU8::new(Stage::Open as u8),
            handshakes: AtomicU32::new(0),
            connections: Arc::new(connections),
            counts: ClosedCounts::default(),
            stop: CancellationToken::new(),
            leaving: RwLock::default(),
            closed: CancellationToken::new(),
        }
    }

    pub(super) fn terms(&self) -> Arc<ConnectionTerms> {
        Arc::clone(&self.terms.read())
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Open,
            1 => Stage::Closing,
            2 => Stage::Draining,
            _ => Stage::Cut,
        }
    }

    /// Sets the terms of new connections. Returns whether open ones are outdated from now on, because their clients must connect anew.
    pub(super) fn set_terms(&self, terms: ConnectionTerms) -> bool {
        let before = std::mem::replace(&mut *self.terms.write(), Arc::new(terms));
        let outdated = before.trust() != self.terms().trust();
        if outdated {
            self.handshakes.fetch_add(1, Ordering::Release);
        }
        outdated
    }

    /// Read it before [`Self::terms`]; with another value later, a connection is outdated.
    pub(super) fn handshakes(&self) -> u32 {
        self.handshakes.load(Ordering::Acquire)
    }

    /// Moves to `stage`, unless already in a later one.
    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
        if stage >= Stage::Draining {
            self.stop.cancel();
        }
    }
}
