//! Callers' code that runs on the threads of a store.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::resource::contract::Error;

/// Runs a closure so that a panic in it fails only that call.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Internal("a job of the store panicked".into())))
}
