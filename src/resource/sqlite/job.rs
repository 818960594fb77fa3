//! Jobs in the queues of a store: reads and writes, each with a channel for its result.

use std::time::Instant;

use tokio::sync::oneshot;

use super::connection::Open;
use super::guard::guarded;
use super::rows::Writer;
use crate::resource::contract::Error;

/// A read with its result channel; an error is about the connection.
pub type ReadJob = Box<dyn FnOnce(Result<&Open, Error>) -> Result<(), Error> + Send>;

/// A queued write of any result type.
pub trait WriteJob: Send {
    /// Whether the result is still awaited.
    fn is_wanted(&self) -> bool;

    /// When it is too late to start or continue.
    fn expires(&self) -> Instant;

    /// Runs it and keeps the result; returns whether its changes are kept. It may run again if they were undone.
    fn run(&mut self, writer: &mut Writer<'_>) -> bool;

    /// How it failed by itself, if it did.
    fn error(&self) -> Option<&Error>;

    /// Sends the result if the transaction was committed, otherwise the error.
    fn answer(self: Box<Self>, transaction: Result<(), Error>);
}

/// A write with its result channel.
pub struct Work<T, F> {
    expires: Instant,
    job: F,
    result: Option<Result<T, Error>>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Work<T, F> {
    pub fn new(expires: Instant, job: F, answer: oneshot::Sender<Result<T, Error>>) -> Self {
        Self { expires, job, result: None, answer }
    }
}

impl<T: Send, F: FnMut(&mut Writer<'_>) -> Result<T, Error> + Send> WriteJob for Work<T, F> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn expires(&self) -> Instant {
        self.expires
    }

    fn run(&mut self, writer: &mut Writer<'_>) -> bool {
        let result = guarded(|| (self.job)(writer));
        let stands = result.is_ok();
        self.result = Some(result);
        stands
    }

    fn error(&self) -> Option<&Error> {
        self.result.as_ref()?.as_ref().err()
    }

    fn answer(self: Box<Self>, transaction: Result<(), Error>) {
        let answer = match (self.result, transaction) {
            // Its own error is more specific than that of the transaction.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Internal("a write was answered before it ran".into())),
        };
        let _ = self.answer.send(answer);
    }
}
