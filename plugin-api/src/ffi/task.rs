//! A running call as a future. It catches panics, can be stopped, and always reports its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as PollContext, Poll};

use super::catch_unwind::catch_panic;
use crate::call::Context;
use crate::{Error, ErrorCode, Payload, Result};

/// The way in which a call ended.
pub(super) enum Outcome {
    /// The call returned a result or an error, or it was stopped with an error.
    Answered(Result<Payload>),
    /// The call panicked with this message.
    Panicked(String),
}

/// The future of a running call. `work` is the plugin's code. `finish` is called exactly once, with the way in which
/// the call ended.
pub(super) struct Task<F, D: FnOnce(Outcome)> {
    work: Option<Pin<Box<F>>>,
    finish: Option<D>,
    context: Arc<Context>,
}

impl<F, D: FnOnce(Outcome)> Task<F, D> {
    pub(super) fn new(work: F, context: Arc<Context>, finish: D) -> Self {
        Self { work: Some(Box::pin(work)), finish: Some(finish), context }
    }

    /// If `error` is a cancellation, tells the plugin's code about it. Returns true if that code waits for its
    /// cancellation, and so ends by itself.
    fn winds_up(&self, error: &Error) -> bool {
        *error.code() == ErrorCode::CANCELLED && self.context.cancellation.cancel()
    }

    /// Drops the plugin's code, then reports the outcome of the call.
    fn end(&mut self, outcome: Outcome) {
        let work = self.work.take();
        let outcome = match catch_panic(|| self.context.enter(|| drop(work))) {
            Ok(()) => outcome,
            Err(message) => Outcome::Panicked(message),
        };
        if let Some(finish) = self.finish.take() {
            let secrets = &self.context.secrets;
            // The redaction is not code of the plugin, and does not panic.
            finish(match outcome {
                Outcome::Answered(answer) => Outcome::Answered(answer.map_err(|error| secrets.redact(error))),
                Outcome::Panicked(message) => Outcome::Panicked(secrets.hide(message)),
            });
        }
    }
}

impl<F: Future<Output = Result<Payload>>, D: FnOnce(Outcome) + Unpin> Future for Task<F, D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<()> {
        let this = &mut *self;
        let stopped = this.context.stop.poll(poll.waker()).filter(|error| !this.winds_up(error)).cloned();
        let outcome = match (stopped, &mut this.work) {
            (Some(error), _) => Outcome::Answered(Err(error)),
            (None, Some(work)) => match catch_panic(|| this.context.enter(|| work.as_mut().poll(poll))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(result)) => Outcome::Answered(result),
                Err(message) => Outcome::Panicked(message),
            },
            (None, None) => return Poll::Ready(()),
        };
        this.end(outcome);
        Poll::Ready(())
    }
}

/// Reports the call as cancelled if the runtime drops the task before the call has ended, as it does at shutdown.
impl<F, D: FnOnce(Outcome)> Drop for Task<F, D> {
    fn drop(&mut self) {
        if self.finish.is_some() {
            self.end(Outcome::Answered(Err(Error::new(ErrorCode::CANCELLED, "the plugin was shut down"))));
        }
    }
}
