//! Waits for a future until a deadline. Needs no async runtime.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_timer::Delay;
use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode};

/// A timer that fires at a deadline.
#[derive(Debug)]
pub(crate) struct Timer {
    deadline: Deadline,
    delay: Option<Delay>,
}

impl Timer {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self { deadline, delay: None }
    }

    /// Returns `Ready` with the error `DEADLINE_EXCEEDED` if the deadline has passed.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        // The delay is created by the first poll, after the work has started, so that the work can report its own
        // errors first.
        let delay = self.delay.get_or_insert_with(|| Delay::new(self.deadline.remaining()));
        Pin::new(delay).poll(context).map(|()| deadline_exceeded(self.deadline))
    }
}

/// Waits for a future. Fails with `DEADLINE_EXCEEDED` at the deadline, and drops the future, which cancels its call.
pub(crate) async fn within<T, E: From<Error>>(
    deadline: Option<Deadline>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match deadline {
        None => work.await,
        Some(deadline) => until(deadline, work).await.unwrap_or_else(|| Err(deadline_exceeded(deadline).into())),
    }
}

/// Waits for a future. Returns `None` if the deadline passes first.
pub(crate) async fn until<T>(deadline: Deadline, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut timer) = (pin!(work), Timer::new(deadline));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.poll(context).map(|_error| None),
    })
    .await
}

/// Starts the thread of the timer. Must be called before a library is loaded: a library that hangs in its initialisers
/// holds the lock of the system's loader, so that no new thread can start.
///
/// # Errors
/// Fails if the system cannot start a thread. Without this check, the timer would panic.
pub(crate) async fn start_timer() -> io::Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if STARTED.get().is_none() {
        drop(thread::Builder::new().spawn(|| {})?.join());
        Delay::new(Duration::ZERO).await;
        STARTED.get_or_init(|| ());
    }
    Ok(())
}

fn deadline_exceeded(deadline: Deadline) -> Error {
    let message = format!("no answer within {deadline}: increase the timeout, or reduce the request");
    Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_never_completes_fails_at_the_deadline() {
        let never = std::future::pending::<Result<(), Error>>();
        let error = pollster::block_on(within(Some(Deadline::after(Duration::from_millis(1))), never)).unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::DEADLINE_EXCEEDED, true));
        assert!(error.message().starts_with("no answer within 1.0 ms"), "{error}");
    }

    #[test]
    fn a_completed_future_succeeds_after_the_deadline() {
        assert_eq!(pollster::block_on(until(Deadline::after(Duration::ZERO), async { 1 })), Some(1));
    }
}
