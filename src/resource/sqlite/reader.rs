//! A reader thread: takes reads from the queue and runs them on its own connection.

use super::connection::Role;
use super::shared::Shared;
use crate::resource::queue::Taken;

/// Runs reader `number` until the queue is closed.
pub fn run(shared: &Shared, number: usize) {
    let mut jobs = Vec::with_capacity(1);
    while shared.reads.take(&mut jobs, 1, None) == Taken::Jobs {
        for job in jobs.drain(..) {
            let slot = shared.reader(number);
            let mut slot = slot.lock();
            let broken = match shared.open(&mut slot, Role::Read) {
                Ok(open) => job(Ok(open)),
                Err(error) => job(Err(error)),
            };
            if broken.is_err() {
                shared.discard(&mut slot);
            }
        }
        shared.refresh_now(number);
        shared.keep_watch();
    }
}
