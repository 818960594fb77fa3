//! A bounded queue that is fair by client: each client's first job comes before any client's second.

use gatewright_sdk::ClientKey;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::Duration;

/// Jobs that wait for a thread.
#[derive(Debug)]
pub struct Line<J> {
    state: Mutex<Waiting<J>>,
    filled: Condvar,
    room: usize,
}

#[derive(Debug)]
struct Waiting<J> {
    /// The clients with waiting jobs; the first one is next.
    clients: VecDeque<(ClientKey, VecDeque<J>)>,
    len: usize,
    closed: bool,
}

/// What [`Line::take`] returns.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<J> {
    Job(J),
    /// No job arrived in time.
    Idle,
    /// The line is empty and closed.
    Closed,
}

impl<J> Line<J> {
    /// A line for at most `room` waiting jobs.
    pub fn new(room: usize) -> Self {
        let state = Waiting { clients: VecDeque::new(), len: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), room }
    }

    /// Queues a job of `client`; returns whether there was room. If not, a client with fewer jobs takes the place of the last
    /// job of the client with the most, which is dropped.
    pub fn put(&self, client: ClientKey, job: J) -> bool {
        let mut state = self.state.lock();
        if state.closed || (state.len >= self.room && !state.makes_room(client)) {
            return false;
        }
        state.len += 1;
        match state.clients.iter_mut().find(|(known, _)| *known == client) {
            Some((_, jobs)) => jobs.push_back(job),
            None => state.clients.push_back((client, VecDeque::from([job]))),
        }
        drop(state);
        self.filled.notify_one();
        true
    }

    /// The next job; sleeps while there is none, for at most `patience` when one is given.
    pub fn take(&self, patience: Option<Duration>) -> Taken<J> {
        let mut state = self.state.lock();
        let mut idle = false;
        loop {
            if let Some(job) = state.next() {
                return Taken::Job(job);
            }
            if state.closed {
                return Taken::Closed;
            }
            if idle {
                return Taken::Idle;
            }
            match patience {
                None => self.filled.wait(&mut state),
                Some(patience) => idle = self.filled.wait_for(&mut state, patience).timed_out(),
            }
        }
    }

    /// Accepts no more jobs; the threads finish the waiting ones and end.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// How many jobs are waiting.
    pub fn len(&self) -> usize {
        self.state.lock().len
    }
}

impl<J> Waiting<J> {
    /// The first job of the next client, which then waits behind all others.
    fn next(&mut self) -> Option<J> {
        let (client, mut jobs) = self.clients.pop_front()?;
        let job = jobs.pop_front()?;
        self.len = self.len.saturating_sub(1);
        if !jobs.is_empty() {
            self.clients.push_back((client, jobs));
        }
        Some(job)
    }

    /// Drops the last job of the client with the most jobs, if it has at least two more than `client`.
    fn makes_room(&mut self, client: ClientKey) -> bool {
        let own = self.clients.iter().find(|(known, _)| *known == client).map_or(0, |(_, jobs)| jobs.len());
        let most = self.clients.iter_mut().max_by_key(|(_, jobs)| jobs.len());
        let Some((_, jobs)) = most.filter(|(_, jobs)| jobs.len() > own + 1) else { return false };
        jobs.pop_back();
        self.len = self.len.saturating_sub(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> ClientKey {
        ClientKey::of(format!("10.0.0.{number}").parse().unwrap())
    }

    fn drain(line: &Line<&'static str>) -> Vec<&'static str> {
        line.close();
        std::iter::from_fn(|| if let Taken::Job(job) = line.take(None) { Some(job) } else { None }).collect()
    }

    #[test]
    fn the_first_job_of_each_client_comes_before_the_second_of_any() {
        let line = Line::new(10);
        for (who, job) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
            assert!(line.put(client(who), job));
        }
        assert_eq!(line.len(), 6);
        assert_eq!(drain(&line), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn in_a_full_line_the_busiest_client_gives_way() {
        let line = Line::new(4);
        for job in ["a1", "a2", "a3", "a4"] {
            assert!(line.put(client(1), job));
        }
        assert!(!line.put(client(1), "a5"), "not to itself");
        assert!(line.put(client(2), "b1"));
        assert!(line.put(client(3), "c1"));
        assert!(!line.put(client(2), "b2"), "two each would only change who waits");
        assert_eq!(line.len(), 4);
        assert_eq!(drain(&line), ["a1", "b1", "c1", "a2"]);
    }

    #[test]
    fn a_closed_line_takes_nothing_and_an_empty_one_reports_that_it_is_idle() {
        let line = Line::new(1);
        assert_eq!(line.take(Some(Duration::from_millis(1))), Taken::Idle);
        line.close();
        assert!(!line.put(client(1), "a"));
        assert_eq!(line.take(None), Taken::Closed);
    }
}
