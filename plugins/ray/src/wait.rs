//! The timing of the polls that wait until a change of an application is complete.

use std::time::Duration;

use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode, Result, call};

/// The timing of the polls of one change. They end at a deadline.
#[derive(Debug)]
pub(crate) struct Wait {
    interval: Duration,
    deadline: Deadline,
    timeout: Duration,
}

impl Wait {
    /// Starts the time of a change. The caller's deadline limits it too.
    pub(crate) fn start(interval: Duration, timeout: Duration) -> Self {
        let own = Deadline::after(timeout);
        Self { interval, deadline: call::deadline().map_or(own, |caller| caller.min(own)), timeout }
    }

    /// Returns the time at which the wait ends.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Sleeps until the next poll. `state` describes the change so far, for the error.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` if the next poll would be after the deadline.
    pub(crate) async fn pause(&self, name: &str, state: &str) -> Result<()> {
        if self.deadline.is_within(self.interval) {
            return Err(self.stopped(name, state));
        }
        tokio::time::sleep(self.interval).await;
        Ok(())
    }

    /// Returns the error for a wait that ended before the change was complete.
    pub(crate) fn stopped(&self, name: &str, state: &str) -> Error {
        let message = format!(
            "stopped waiting for `{name}`: {state}; the cluster continues; see it with `get`, and raise `timeout` \
                 ({} s) of the config or the timeout of the call",
            self.timeout.as_secs_f64()
        );
        Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable()
    }
}
