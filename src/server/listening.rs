//! A listener as its connections see it: what they are held to, how far its end has come, and how many they are.

use super::closed::ClosedCounts;
use super::connection_limit::Connections;
use crate::terms::ConnectionTerms;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use tokio_util::sync::CancellationToken;

/// Where a listener is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stage {
    Open,
    /// New connections are still accepted; each is told to end with its next answer.
    Closing,
    /// Nothing is accepted any more; requests that are being answered may finish.
    Draining,
    /// Whatever is left is closed.
    Cut,
}

/// A listener as its connections see it.
pub(super) struct Listening {
    /// Those of new connections.
    terms: RwLock<Arc<ConnectionTerms>>,
    stage: AtomicU8,
    pub(super) connections: Arc<Connections>,
    pub(super) counts: ClosedCounts,
    /// Asks the accepting task to end.
    pub(super) stop: CancellationToken,
    /// Whether connections that wait in the socket belong to another server.
    pub(super) handed_over: AtomicBool,
    /// Says that it has, and that it holds the listening socket no more.
    pub(super) closed: CancellationToken,
}

impl Listening {
    pub(super) fn new(terms: ConnectionTerms, connections: Connections) -> Self {
        Self {
            terms: RwLock::new(Arc::new(terms)),
            stage: AtomicU8::new(Stage::Open as u8),
            connections: Arc::new(connections),
            counts: ClosedCounts::default(),
            stop: CancellationToken::new(),
            handed_over: AtomicBool::new(false),
            closed: CancellationToken::new(),
        }
    }

    pub(super) fn terms(&self) -> Arc<ConnectionTerms> {
        Arc::clone(&self.terms.read())
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            0 => Stage::Open,
            1 => Stage::Closing,
            2 => Stage::Draining,
            _ => Stage::Cut,
        }
    }

    pub(super) fn set_terms(&self, terms: ConnectionTerms) {
        *self.terms.write() = Arc::new(terms);
    }

    /// Goes on to `stage`, unless it is in a later one already.
    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Relaxed);
        if stage >= Stage::Draining {
            self.stop.cancel();
        }
    }
}
