//! A bounded queue between async callers and a few threads of their own: full is an answer, not a wait.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Jobs on their way to the threads.
#[derive(Debug)]
pub struct Queue<J> {
    state: Mutex<Waiting<J>>,
    filled: Condvar,
    room: usize,
}

#[derive(Debug)]
struct Waiting<J> {
    jobs: VecDeque<J>,
    /// Threads asleep in [`Queue::take`]: no call of the system is made when there is none.
    sleeping: usize,
    closed: bool,
}

/// Why a job was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    Full,
    Closed,
}

/// What a thread gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// At least one job.
    Jobs,
    /// Nothing came in the time given.
    Idle,
    /// Nothing is left and nothing will come.
    Closed,
}

impl<J> Queue<J> {
    /// A queue for at most `room` waiting jobs.
    pub fn new(room: usize) -> Self {
        let state = Waiting { jobs: VecDeque::new(), sleeping: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), room }
    }

    /// Queues a job, or says at once that it cannot be queued.
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

    /// Takes no more jobs; the threads finish what waits and end.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.state.lock().jobs.len()
    }
}
