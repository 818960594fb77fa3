//! Lets one request at a time open a connection that others can use too.

use crate::upstream::failure::Failure;
use std::future::Future;

#[derive(Default)]
pub(super) struct Opening {
    turn: tokio::sync::Mutex<()>,
    /// How often opening failed, and the last failure.
    failed: parking_lot::Mutex<(u64, Option<Failure>)>,
}

impl Opening {
    /// What `find` finds, at the latest after the turn of another request; otherwise what `open` opens. Requests that
    /// waited for a turn that failed fail too, so that they do not wait for each other.
    pub async fn find_or_open<T>(
        &self,
        find: impl Fn() -> Option<T>,
        open: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if let Some(found) = find() {
            return Ok(found);
        }
        let before = self.failed.lock().0;
        let _turn = self.turn.lock().await;
        if let Some(found) = find() {
            return Ok(found);
        }
        if let (count, Some(failure)) = &*self.failed.lock()
            && *count != before
        {
            return Err(failure.again());
        }
        let opened = open.await;
        if let Err(failure) = &opened {
            let mut failed = self.failed.lock();
            *failed = (failed.0 + 1, Some(failure.again()));
        }
        opened
    }
}
