//! A bounded queue between async callers and a few dedicated threads: a full queue is an error, not a wait.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Jobs that wait for a thread.
#[derive(Debug)]
pub struct Queue<J> {
    state: Mutex<Waiting<J>>,
    filled: Condvar,
    room: usize,
}

#[derive(Debug)]
struct Waiting<J> {
    jobs: VecDeque<J>,
    /// Threads asleep in [`Queue::take`]: if there are none, no system call is made.
    sleeping: usize,
    closed: bool,
}

/// Why a job was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    Full,
    Closed,
}

/// What [`Queue::take`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// At least one job.
    Jobs,
    /// No job arrived in time.
    Idle,
    /// The queue is empty and closed.
    Closed,
}

impl<J> Queue<J> {
    /// A queue for at most `room` waiting jobs.
    pub fn new(room: usize) -> Self {
        let state = Waiting { jobs: VecDeque::new(), sleeping: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), room }
    }

    /// Queues a job, or returns at once if it cannot be queued.
    pub fn put(&self, job: J) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        if state.jobs.len() >= self.room {
            return Err(Rejected::Full);
        }
        state.jobs.push_back(job);
        let wake = state.sleeping > 0;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Moves up to `most` jobs to `into`; sleeps while there is none, for at most `patience` when one is given.
    pub fn take(&self, into: &mut Vec<J>, most: usize, patience: Option<Duration>) -> Taken {
        let mut state = self.state.lock();
        let mut idle = false;
        loop {
            if !state.jobs.is_empty() {
                let count = state.jobs.len().min(most);
                into.extend(state.jobs.drain(..count));
                return Taken::Jobs;
            }
            if state.closed {
                return Taken::Closed;
            }
            if idle {
                return Taken::Idle;
            }
            state.sleeping += 1;
            match patience {
                None => self.filled.wait(&mut state),
                Some(patience) => idle = self.filled.wait_for(&mut state, patience).timed_out(),
            }
            state.sleeping -= 1;
        }
    }

    /// Accepts no more jobs; the threads finish the waiting ones and end.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// How many jobs are waiting.
    pub fn len(&self) -> usize {
        self.state.lock().jobs.len()
    }
}
