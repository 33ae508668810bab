//! One call as a future that cannot hurt its runtime: panics are contained, it can be stopped, and it always finishes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context as PollContext, Poll, Waker};

use super::contain::contain;
use crate::call::Context;
use crate::{Error, ErrorCode, Payload, Result};

/// How a call ended.
pub(super) enum Outcome {
    /// It answered, or was stopped with this error.
    Answered(Result<Payload>),
    /// It panicked, with this message.
    Panicked(String),
}

/// A way to stop a task from outside, before or while it runs.
#[derive(Default)]
pub(super) struct Stop {
    verdict: OnceLock<Error>,
    waker: Mutex<Option<Waker>>,
}

impl Stop {
    /// Ends the task with this error, unless it has ended already or something else stopped it first.
    pub(super) fn stop(&self, verdict: Error) {
        if self.verdict.set(verdict).is_ok() {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Why the task was stopped, where it was.
    pub(super) fn verdict(&self) -> Option<&Error> {
        self.verdict.get()
    }

    /// The waker is stored before the verdict is read, so that a stop in between is not missed.
    fn poll(&self, waker: &Waker) -> Option<&Error> {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        self.verdict()
    }
}

/// A call on its way: `work` is the plugin's code, `finish` tells the instance how it ended, exactly once.
pub(super) struct Task<F, D: FnOnce(Outcome)> {
    work: Option<Pin<Box<F>>>,
    finish: Option<D>,
    stop: Arc<Stop>,
    context: Context,
}

impl<F, D: FnOnce(Outcome)> Task<F, D> {
    pub(super) fn new(work: F, stop: Arc<Stop>, context: Context, finish: D) -> Self {
        Self { work: Some(Box::pin(work)), finish: Some(finish), stop, context }
    }

    /// Whether the work was told that its caller has given up, and ends by itself. After a panic nothing goes on.
    fn winds_up(&self, verdict: &Error) -> bool {
        *verdict.code() == ErrorCode::CANCELLED && self.context.cancellation.tell()
    }

    /// Drops the work, then says how it ended.
    fn end(&mut self, outcome: Outcome) {
        let work = self.work.take();
        let outcome = match contain(|| self.context.enter(|| drop(work))) {
            Ok(()) => outcome,
            Err(message) => Outcome::Panicked(message),
        };
        if let Some(finish) = self.finish.take() {
            let secrets = &self.context.secrets;
            // Hiding is no code of the plugin's, and does not panic.
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
        let stopped = this.stop.poll(poll.waker()).filter(|verdict| !this.winds_up(verdict)).cloned();
        let outcome = match (stopped, &mut this.work) {
            (Some(verdict), _) => Outcome::Answered(Err(verdict)),
            (None, Some(work)) => match contain(|| this.context.enter(|| work.as_mut().poll(poll))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(answer)) => Outcome::Answered(answer),
                Err(message) => Outcome::Panicked(message),
            },
            (None, None) => return Poll::Ready(()),
        };
        this.end(outcome);
        Poll::Ready(())
    }
}

/// A task that its runtime gives up, as at shutdown, still answers its call.
impl<F, D: FnOnce(Outcome)> Drop for Task<F, D> {
    fn drop(&mut self) {
        if self.finish.is_some() {
            self.end(Outcome::Answered(Err(Error::new(ErrorCode::CANCELLED, "the plugin was shut down"))));
        }
    }
}
