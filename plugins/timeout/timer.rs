//! Timers that are used again: moving a running timer to a later time is much cheaper than starting one.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep, sleep_until};

/// How many unused timers each thread keeps.
const MOST: usize = 64;

thread_local! {
    /// The unused timers of this thread, with the runtime that they belong to. They still run, but wake no one who waits.
    static UNUSED: RefCell<Vec<(Id, Pin<Box<Sleep>>)>> = const { RefCell::new(Vec::new()) };
}

/// A running timer.
pub(super) struct Timer {
    runtime: Id,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub fn start(time: Duration) -> Self {
        let (runtime, end) = (Handle::current().id(), Instant::now() + time);
        let unused = UNUSED.with_borrow_mut(|unused| unused.pop_if(|(of, _)| *of == runtime));
        let sleep = match unused {
            Some((_, mut sleep)) => {
                sleep.as_mut().reset(end);
                sleep
            }
            None => Box::pin(sleep_until(end)),
        };
        Self { runtime, sleep: Some(sleep) }
    }

    pub fn sleep(&mut self) -> Option<Pin<&mut Sleep>> {
        self.sleep.as_mut().map(Pin::as_mut)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(sleep) = self.sleep.take() else { return };
        // While the thread ends, the list may be gone.
        let _ = UNUSED.try_with(|unused| {
            let Ok(mut unused) = unused.try_borrow_mut() else { return };
            if unused.last().is_some_and(|(of, _)| *of != self.runtime) {
                unused.clear();
            }
            if unused.len() < MOST {
                unused.push((self.runtime, sleep));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn take(time: Duration) -> Duration {
        let (start, mut timer) = (Instant::now(), Timer::start(time));
        timer.sleep().unwrap().await;
        start.elapsed()
    }

    #[test]
    fn a_timer_that_served_before_runs_for_the_new_time_and_only_on_its_runtime() {
        for _ in 0..2 {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                drop(Timer::start(Duration::from_secs(30)));
                for seconds in [30, 5, 60] {
                    let time = Duration::from_secs(seconds);
                    let taken = take(time).await;
                    assert!(taken >= time && taken < time + Duration::from_secs(1), "{taken:?}");
                    assert_eq!(UNUSED.with_borrow(Vec::len), 1);
                }
            });
        }
    }
}
