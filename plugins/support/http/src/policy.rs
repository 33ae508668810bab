//! The time limits and retries of requests.

use std::borrow::Cow;
use std::time::Duration;

use mlflow_deploy_plugin_api::{Deadline, Error, Result, call};

use crate::backoff::Backoff;

/// The time limits and the retry rules of a request. The default values are those of MLflow.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "built with `..Policy::default()`, so that fields can be added")]
pub struct Policy {
    /// The maximum time without a byte from the server: before its response, and between two parts of the response.
    pub silence: Duration,
    /// The maximum time for a request, including its retries, waits and redirects; `None` for no limit.
    pub total: Option<Duration>,
    /// The common deadline of an operation that sends several requests. [`Policy::started`] sets it.
    pub deadline: Option<Deadline>,
    /// The number of bytes in earlier responses of the same operation, which count towards
    /// [`max_response_bytes`](Self::max_response_bytes).
    pub used_bytes: usize,
    /// The maximum number of retries of a request.
    pub max_retries: u32,
    /// The rule for the wait before a retry, unless the server specifies the wait.
    pub backoff: Backoff,
    /// The HTTP statuses after which a request is retried.
    pub retry_codes: Cow<'static, [u16]>,
    /// The statuses in [`retry_codes`](Self::retry_codes) after which a POST is retried too, because the server has not
    /// acted on it or a repetition is harmless.
    pub post_retry_codes: Cow<'static, [u16]>,
    /// The error codes in the body of a response after which a request is never retried, regardless of the status.
    pub final_codes: Cow<'static, [&'static str]>,
    /// The error codes of a response after which a request is retried, regardless of the status, because the server has
    /// not acted on it.
    pub retry_error_codes: Cow<'static, [&'static str]>,
    /// True if the response header `x-should-retry` decides about a retry, regardless of the status.
    pub respect_should_retry: bool,
    /// True if the response header `Retry-After` determines the wait before a retry, in place of
    /// [`backoff`](Self::backoff).
    pub respect_retry_after: bool,
    /// The maximum wait before a retry. If a retry would have to wait longer, the request fails instead.
    pub max_wait: Duration,
    /// The maximum size in bytes of a response that is read into memory. It also limits all pages of a list together.
    pub max_response_bytes: usize,
    /// True if redirects within the same origin are followed.
    pub follow_redirects: bool,
    /// True if a POST is retried even if the server may have acted on it.
    pub repeat_post: bool,
    /// The advice in the error for a request that takes too long, as the end of a sentence.
    pub advice: Cow<'static, str>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(120),
            total: None,
            deadline: None,
            used_bytes: 0,
            max_retries: 7,
            backoff: Backoff::Mlflow { factor: 2.0, jitter: 1.0 },
            retry_codes: Cow::Borrowed(&[429, 500, 502, 503]),
            post_retry_codes: Cow::Borrowed(&[429, 502, 503]),
            final_codes: Cow::Borrowed(&[]),
            retry_error_codes: Cow::Borrowed(&[]),
            respect_should_retry: false,
            respect_retry_after: true,
            max_wait: Duration::from_secs(21_600),
            max_response_bytes: 1 << 30,
            follow_redirects: true,
            repeat_post: false,
            advice: Cow::Borrowed("give it more time"),
        }
    }
}

impl Policy {
    /// Returns the policy with a deadline, because its total time starts now. The deadline applies to all requests of
    /// an operation that use the returned policy.
    #[must_use]
    pub fn started(&self) -> Self {
        Self { deadline: self.earliest_deadline(), ..self.clone() }
    }

    /// Returns the earliest of three deadlines: the policy's own, the end of its total time if it starts now, and the
    /// caller's.
    pub(crate) fn earliest_deadline(&self) -> Option<Deadline> {
        [self.total.map(Deadline::after), self.deadline, call::deadline()].into_iter().flatten().min()
    }

    /// Returns the policy with a time limit of `timeout` seconds for the whole call. A single attempt may use all of
    /// this time. If `timeout` is `None`, the policy is unchanged.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the timeout is not a positive number.
    pub fn within(self, timeout: Option<f64>) -> Result<Self> {
        let Some(seconds) = timeout else { return Ok(self) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(timeout) if !timeout.is_zero() => Ok(Self { silence: timeout, total: Some(timeout), ..self }),
            _ => Err(Error::invalid_parameter(format!(
                "`timeout` is `{seconds}`: expected a number of seconds, more than 0"
            ))),
        }
    }

    /// Returns the wait before the retry with the number `retry`, which counts from 1. `retry_after` is the wait that
    /// the server requests.
    pub fn wait(&self, retry: u32, retry_after: Option<Duration>) -> Duration {
        match retry_after {
            Some(wait) if self.respect_retry_after && !wait.is_zero() => wait,
            _ => self.backoff.wait(retry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_counts() {
        let deadline = Deadline::after(Duration::from_secs(1));
        let policy = Policy { total: Some(Duration::from_secs(60)), deadline: Some(deadline), ..Policy::default() };
        assert_eq!(policy.earliest_deadline(), Some(deadline));
        assert_eq!(policy.started().started().deadline, Some(deadline));
        assert_eq!(Policy::default().earliest_deadline(), None);
    }

    #[test]
    fn the_server_s_wait_precedes_the_backoff() {
        let policy = Policy { backoff: Backoff::Mlflow { factor: 0.0, jitter: 0.0 }, ..Policy::default() };
        let ignoring = Policy { respect_retry_after: false, ..policy.clone() };
        let retry_after = Some(Duration::from_secs(9));
        assert_eq!(policy.wait(1, retry_after), Duration::from_secs(9));
        assert_eq!(ignoring.wait(1, retry_after), Duration::ZERO);
        assert_eq!(policy.wait(2, Some(Duration::ZERO)), Duration::ZERO);
    }
}
