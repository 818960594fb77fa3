//! Code of others that runs on the threads of a store.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::resource::contract::Error;

/// Runs foreign code so that a panic in it costs its own answer and nothing else.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Internal("a job of the store panicked".into())))
}
