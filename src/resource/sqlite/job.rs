//! What waits in the queues of a store: reads and writes, each with its answer.

use std::time::Instant;

use tokio::sync::oneshot;

use super::connection::Open;
use super::guard::guarded;
use super::rows::Writer;
use crate::resource::contract::Error;

/// A read with its answer; the error, when there is one, is what is wrong with the connection.
pub type ReadJob = Box<dyn FnOnce(Result<&Open, Error>) -> Result<(), Error> + Send>;

/// A queued write, whatever it answers.
pub trait WriteJob: Send {
    /// Whether the answer is still waited for.
    fn is_wanted(&self) -> bool;

    /// When it is too late to begin or to go on.
    fn expires(&self) -> Instant;

    /// Runs it once and keeps the result; whether its changes stand.
    fn run(&mut self, writer: &mut Writer<'_>) -> bool;

    /// Answers: with its result when the transaction was committed, else with what went wrong.
    fn answer(self: Box<Self>, transaction: Result<(), Error>);
}

/// A write with its answer.
pub struct Work<T, F> {
    expires: Instant,
    job: Option<F>,
    result: Option<Result<T, Error>>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Work<T, F> {
    pub fn new(expires: Instant, job: F, answer: oneshot::Sender<Result<T, Error>>) -> Self {
        Self { expires, job: Some(job), result: None, answer }
    }
}

impl<T: Send, F: FnOnce(&mut Writer<'_>) -> Result<T, Error> + Send> WriteJob for Work<T, F> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn expires(&self) -> Instant {
        self.expires
    }

    fn run(&mut self, writer: &mut Writer<'_>) -> bool {
        let Some(job) = self.job.take() else {
            return false;
        };
        let result = guarded(|| job(writer));
        let stands = result.is_ok();
        self.result = Some(result);
        stands
    }

    fn answer(self: Box<Self>, transaction: Result<(), Error>) {
        let answer = match (self.result, transaction) {
            // Its own error says more than that the transaction failed too.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Internal("a write was answered before it ran".into())),
        };
        let _ = self.answer.send(answer);
    }
}
