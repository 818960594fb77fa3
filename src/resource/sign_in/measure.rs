//! Metrics of a sign-in.

use crate::telemetry::instruments::{SESSION_EVENTS, SIGN_IN_FALLBACKS, SIGN_INS};
use gatewright_sdk::metrics::{Counter, counter};
use std::sync::Arc;

/// The series of one resource. They continue across reloads.
pub struct Measures {
    succeeded: Arc<Counter>,
    failed: Arc<Counter>,
    slowed: Arc<Counter>,
    busy: Arc<Counter>,
    /// Only with a store for wrong passwords.
    fallbacks: Option<Arc<Counter>>,
    refreshed: Arc<Counter>,
    refused: Arc<Counter>,
    reused: Arc<Counter>,
    signed_out: Arc<Counter>,
    password_changed: Arc<Counter>,
}

impl Measures {
    pub fn new(resource: &str, has_store: bool) -> Self {
        let of = |instrument, outcome: &'static str| {
            let resource = ("gateway.resource", resource.to_owned().into());
            counter(instrument, [resource, ("gateway.outcome", outcome.into())])
        };
        let (attempt, session) = (|outcome| of(&SIGN_INS, outcome), |outcome| of(&SESSION_EVENTS, outcome));
        Self {
            succeeded: attempt("succeeded"),
            failed: attempt("failed"),
            slowed: attempt("slowed"),
            busy: attempt("busy"),
            fallbacks: has_store
                .then(|| counter(&SIGN_IN_FALLBACKS, [("gateway.resource", resource.to_owned().into())])),
            refreshed: session("refreshed"),
            refused: session("refused"),
            reused: session("reused"),
            signed_out: session("signed_out"),
            password_changed: session("password_changed"),
        }
    }

    pub fn succeeded(&self) {
        self.succeeded.add(1);
    }

    pub fn failed(&self) {
        self.failed.add(1);
    }

    pub fn slowed(&self) {
        self.slowed.add(1);
    }

    pub fn busy(&self) {
        self.busy.add(1);
    }

    /// An attempt was counted without the store.
    pub fn fell_back(&self) {
        self.fallbacks.iter().for_each(|fallbacks| fallbacks.add(1));
    }

    pub fn refreshed(&self) {
        self.refreshed.add(1);
    }

    pub fn refused(&self) {
        self.refused.add(1);
    }

    pub fn reused(&self) {
        self.reused.add(1);
    }

    /// This many sessions.
    pub fn signed_out(&self, sessions: u64) {
        self.signed_out.add(sessions);
    }

    pub fn password_changed(&self) {
        self.password_changed.add(1);
    }
}
