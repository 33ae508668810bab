//! The time limits of one request: the maximum silence of the server, and the deadline of the operation.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::{Deadline, ErrorCode};
use tokio::time::timeout_at;

use crate::Policy;
use crate::attempt_error::{AttemptError, Stage};
use crate::connect::SendError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The time limits that all attempts to send one request share.
#[derive(Clone, Debug)]
pub(crate) struct Timeouts {
    silence: Duration,
    deadline: Option<Deadline>,
    advice: Cow<'static, str>,
}

/// The result of receiving a part of a response.
pub(crate) trait Part {
    type Received;

    fn received(self) -> Result<Self::Received, BoxError>;
}

/// The status and headers of a response, or the failure to receive them.
impl<T> Part for Result<T, SendError> {
    type Received = T;

    fn received(self) -> Result<T, BoxError> {
        self.map_err(|error| match error {
            SendError::Connect(error) => error.into(),
            SendError::Lost(error) => error.into(),
        })
    }
}

/// A frame of a response's body, or the failure to receive it; `None` at the end of the body.
impl<T> Part for Option<Result<T, reqwest::Error>> {
    type Received = Option<T>;

    fn received(self) -> Result<Option<T>, BoxError> {
        Ok(self.transpose()?)
    }
}

impl Timeouts {
    /// Returns the time limits of a request that starts now. Its deadline is the end of the policy's total time, or an
    /// earlier deadline of the policy or the caller.
    pub(crate) fn start(policy: &Policy) -> Self {
        Self { silence: policy.silence, deadline: policy.earliest_deadline(), advice: policy.advice.clone() }
    }

    /// Waits for the next part of the server's response. Fails if the part does not arrive within the time limits.
    pub(crate) async fn wait_for<T: Part>(
        &self,
        part: impl Future<Output = T> + Send,
        url: &str,
    ) -> Result<T::Received, AttemptError> {
        let silence = Deadline::after(self.silence);
        let until = self.deadline.map_or(silence, |deadline| deadline.min(silence)).instant();
        match timeout_at(until.into(), part).await {
            Ok(part) => part.received().map_err(|error| AttemptError::from_transport(error, url)),
            Err(_elapsed) => Err(self.timed_out(until, url)),
        }
    }

    /// Returns true if the deadline passes within the time `wait` from now.
    pub(crate) fn end_within(&self, wait: Duration) -> bool {
        self.deadline.is_some_and(|deadline| deadline.is_within(wait))
    }

    fn timed_out(&self, until: Instant, url: &str) -> AttemptError {
        let advice = &self.advice;
        if let Some(deadline) = self.deadline.filter(|deadline| deadline.instant() == until) {
            let message = format!("timed out: no complete response from `{url}` within {deadline}; {advice}");
            return AttemptError::new(Stage::Final, ErrorCode::DEADLINE_EXCEEDED, message);
        }
        let seconds = self.silence.as_secs_f64();
        let message = format!("timed out: `{url}` sent nothing for {seconds} s; {advice}");
        AttemptError::new(Stage::Unanswered, ErrorCode::DEADLINE_EXCEEDED, message)
    }
}
