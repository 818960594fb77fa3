//! Runs expensive work, such as hashing passwords, on a few threads of its own, fairly by client.

mod line;

use self::line::{Line, Taken};
use crate::telemetry::instruments::PASSWORDS;
use gatewright_sdk::metrics::{Level, Observed, level, number, observe};
use gatewright_sdk::{Busy, ClientKey, Computing};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// The maximum amount of waiting work: at about 30 ms each, more would take longer than a client waits.
const WAITING: usize = 64;
/// After this long without work a thread ends, and gives back the memory that work keeps there.
const IDLE: Duration = Duration::from_secs(10);

/// At most half of the cores run work. The threads start with the first work, and end after a while without any or with this
/// value.
pub struct Compute {
    shared: Arc<Shared>,
    /// Reports how much work waits.
    _waiting: Arc<Observed>,
}

struct Shared {
    line: Line<Job>,
    /// How many threads there are. It is locked while work is queued and while a thread decides to end, so that no work is left
    /// without a thread.
    threads: Mutex<usize>,
    most: usize,
    idle: Duration,
    running: Arc<Level>,
}

struct Job {
    work: Box<dyn FnOnce() -> bool + Send>,
    answer: oneshot::Sender<bool>,
}

impl Default for Compute {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::new((cores / 2).max(1), IDLE)
    }
}

impl Compute {
    fn new(most: usize, idle: Duration) -> Self {
        let running = level(&PASSWORDS, [("gateway.password.state", "running".into())]);
        let shared = Arc::new(Shared { line: Line::new(WAITING), threads: Mutex::new(0), most, idle, running });
        let seen = Arc::clone(&shared);
        let read = move || number(seen.line.len());
        Self { shared, _waiting: observe(&PASSWORDS, [("gateway.password.state", "waiting".into())], read) }
    }

    /// Queues `work` of `client`. It does not start if no one waits for it any more.
    pub fn run(&self, client: ClientKey, work: Box<dyn FnOnce() -> bool + Send>) -> Computing {
        let (answer, outcome) = oneshot::channel();
        let queued = Shared::put(&self.shared, client, Job { work, answer });
        Box::pin(async move { if queued { outcome.await.map_err(|_| Busy) } else { Err(Busy) } })
    }
}

impl Drop for Compute {
    /// The threads end after their current work. The last owner may be a worker, which must not wait.
    fn drop(&mut self) {
        self.shared.line.close();
    }
}

impl Shared {
    /// Queues a job, and starts a thread unless there are enough. Returns whether it will be run.
    fn put(shared: &Arc<Self>, client: ClientKey, job: Job) -> bool {
        let mut threads = shared.threads.lock();
        if !shared.line.put(client, job) {
            return false;
        }
        if *threads < shared.most {
            let own = Arc::clone(shared);
            match thread::Builder::new().name("compute".into()).spawn(move || own.work()) {
                Ok(_) => *threads += 1,
                Err(error) => tracing::error!(%error, "cannot start a thread for hashing passwords"),
            }
        }
        *threads > 0
    }

    /// Runs one thread.
    fn work(&self) {
        loop {
            match self.line.take(Some(self.idle)) {
                Taken::Job(Job { work, answer }) if !answer.is_closed() => {
                    self.running.add(1);
                    // Without an answer, the caller learns that there is none.
                    if let Ok(outcome) = catch_unwind(AssertUnwindSafe(work)) {
                        let _ = answer.send(outcome);
                    }
                    self.running.add(-1);
                }
                Taken::Job(_) => {}
                Taken::Idle => {
                    let mut threads = self.threads.lock();
                    if self.line.len() == 0 {
                        *threads -= 1;
                        return;
                    }
                }
                Taken::Closed => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    fn client(number: u8) -> ClientKey {
        ClientKey::of(format!("10.0.0.{number}").parse().unwrap())
    }

    /// Work that has begun, and ends when the sender is used.
    fn hold(compute: &Compute) -> (Computing, Sender<()>) {
        let ((begin, begun), (release, released)) = (channel(), channel());
        let work = move || begin.send(()).is_ok() && released.recv().is_ok();
        let computing = compute.run(client(1), Box::new(work));
        begun.recv().unwrap();
        (computing, release)
    }

    #[tokio::test]
    async fn a_bounded_amount_of_work_waits_and_the_rest_is_refused() {
        let compute = Compute::new(1, IDLE);
        let (first, release) = hold(&compute);
        let waiting: Vec<_> = (0..WAITING).map(|_| compute.run(client(1), Box::new(|| true))).collect();
        assert_eq!(compute.run(client(1), Box::new(|| true)).await, Err(Busy));
        let other = compute.run(client(2), Box::new(|| true));
        release.send(()).unwrap();
        assert_eq!((first.await, other.await), (Ok(true), Ok(true)));
        let done: Vec<_> = futures_util::future::join_all(waiting).await;
        assert_eq!(
            done.iter().filter(|outcome| outcome.is_err()).count(),
            1,
            "the last one made room for another client"
        );
        assert_eq!(compute.shared.line.len(), 0);
    }

    #[tokio::test]
    async fn each_client_waits_only_for_the_first_work_of_others() {
        let compute = Compute::new(1, IDLE);
        let (first, release) = hold(&compute);
        let (done, order) = channel();
        let run = |from: u8, name: &'static str| {
            let done = done.clone();
            compute.run(client(from), Box::new(move || done.send(name).is_ok()))
        };
        let all = [run(1, "a1"), run(1, "a2"), run(1, "a3"), run(2, "b1"), run(3, "c1")];
        release.send(()).unwrap();
        let _ = first.await;
        futures_util::future::join_all(all).await;
        assert_eq!(order.try_iter().collect::<Vec<_>>(), ["a1", "b1", "c1", "a2", "a3"]);
    }

    #[tokio::test]
    async fn work_that_no_one_waits_for_does_not_start_and_a_panic_ends_nothing() {
        let compute = Compute::new(1, IDLE);
        let (first, release) = hold(&compute);
        let (started, starts) = channel();
        drop(compute.run(client(1), Box::new(move || started.send(()).is_ok())));
        let panics = compute.run(client(2), Box::new(|| panic!("asked to")));
        release.send(()).unwrap();
        assert_eq!((first.await, panics.await), (Ok(true), Err(Busy)));
        assert_eq!(compute.run(client(1), Box::new(|| false)).await, Ok(false));
        assert!(starts.recv().is_err());
    }

    #[tokio::test]
    async fn threads_start_with_work_and_end_without() {
        let compute = Compute::new(1, Duration::from_millis(1));
        assert_eq!(*compute.shared.threads.lock(), 0);
        for _ in 0..3 {
            assert_eq!(compute.run(client(1), Box::new(|| true)).await, Ok(true));
            while *compute.shared.threads.lock() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}
