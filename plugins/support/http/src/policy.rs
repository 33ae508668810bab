//! How long a plugin is willing to wait, and what it sends again.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use mlflow_deploy_plugin_api::{Deadline, Error, Result, call};

use crate::backoff::Backoff;
use crate::fault::{Fault, Stage};

/// The times and retries of a request. The default is MLflow's.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "built with `..Policy::default()`, so that fields can be added")]
pub struct Policy {
    /// How long the server may stay silent: until it answers, and between any two parts of its answer.
    pub silence: Duration,
    /// How long everything may take together: retries, the waits between them, redirects.
    pub total: Option<Duration>,
    /// When everything has to be over. For an operation that sends several requests, see [`Policy::started`].
    pub until: Option<Instant>,
    /// When the operation began. Set by [`Policy::started`]; an error that says that the time is over counts from it.
    pub begun: Option<Instant>,
    /// How many bytes of [`longest_answer`](Self::longest_answer) earlier answers of the operation have taken.
    pub taken: usize,
    /// How often a request is sent again, at most.
    pub max_retries: u32,
    /// The wait before a retry, where the server names none.
    pub backoff: Backoff,
    /// The statuses after which a request is sent again.
    pub retry_codes: Cow<'static, [u16]>,
    /// Those of them that count after a POST as well: the server has not acted on it, or it does no harm to ask again.
    pub post_retry_codes: Cow<'static, [u16]>,
    /// The codes in the body of an error after which it is final, whatever its status.
    pub final_codes: Cow<'static, [&'static str]>,
    /// Whether `x-should-retry: true` and `false` overrule the status.
    pub respect_should_retry: bool,
    /// Whether `Retry-After` takes the place of the wait.
    pub respect_retry_after: bool,
    /// A server that wants us to wait for longer is not asked again.
    pub longest_wait: Duration,
    /// No answer that is held in memory is longer, in bytes, and no pages of a list are together.
    pub longest_answer: usize,
    /// Whether redirects are followed: of a GET, to the same origin.
    pub follow_redirects: bool,
    /// Whether a POST is sent again also where the server may have acted on it already.
    pub repeat_post: bool,
    /// What the user can do about a request that takes too long, as the end of a sentence.
    pub advice: Cow<'static, str>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(120),
            total: None,
            until: None,
            begun: None,
            taken: 0,
            max_retries: 7,
            backoff: Backoff::Mlflow { factor: 2.0, jitter: 1.0 },
            retry_codes: Cow::Borrowed(&[429, 500, 502, 503]),
            post_retry_codes: Cow::Borrowed(&[429, 502, 503]),
            final_codes: Cow::Borrowed(&[]),
            respect_should_retry: false,
            respect_retry_after: true,
            longest_wait: Duration::from_secs(21_600),
            longest_answer: 1 << 30,
            follow_redirects: true,
            repeat_post: false,
            advice: Cow::Borrowed("give it more time"),
        }
    }
}

impl Policy {
    /// The policy with its total running from now on, for several requests of one operation.
    #[must_use]
    pub fn started(&self) -> Self {
        Self { until: self.deadline(), begun: self.begun.or_else(|| Some(Instant::now())), ..self.clone() }
    }

    /// When everything has to be over: the earliest of the policy's own times and the caller's.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let total = self.total.and_then(|total| Instant::now().checked_add(total));
        [total, self.until, call::deadline().map(Deadline::instant)].into_iter().flatten().min()
    }

    /// The policy for a whole call of so many seconds, where some are given: no attempt need end before it.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where they are no time.
    pub fn within(self, timeout: Option<f64>) -> Result<Self> {
        let Some(seconds) = timeout else { return Ok(self) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(timeout) if !timeout.is_zero() => Ok(Self { silence: timeout, total: Some(timeout), ..self }),
            _ => Err(Error::invalid_parameter(format!("`timeout` is `{seconds}`: expected seconds, more than 0"))),
        }
    }

    /// Whether a request may be sent again after this fault.
    pub(crate) fn allows(&self, method: &Method, fault: &Fault) -> bool {
        let repeatable = method.is_idempotent() || self.repeat_post;
        match fault.stage {
            Stage::Refused(_) if fault.error_code().is_some_and(|code| self.final_codes.contains(&code)) => false,
            Stage::Refused(_) if self.respect_should_retry && fault.should_retry.is_some() => {
                fault.should_retry == Some(true)
            }
            Stage::Unsent => true,
            Stage::Unanswered => repeatable,
            // A server that names a time after which a large request is welcome wants it again.
            Stage::Refused(StatusCode::PAYLOAD_TOO_LARGE) => fault.retry_after.is_some() && self.respect_retry_after,
            Stage::Refused(status) => {
                self.retry_codes.contains(&status.as_u16())
                    && (repeatable || self.post_retry_codes.contains(&status.as_u16()))
            }
            Stage::Settled => false,
        }
    }

    /// How long to wait before a retry, counted from 1, when the server asked for `asked`.
    pub(crate) fn wait(&self, retry: u32, asked: Option<Duration>) -> Duration {
        match asked {
            Some(asked) if self.respect_retry_after && !asked.is_zero() => asked,
            _ => self.backoff.wait(retry),
        }
    }
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::ErrorCode;

    use super::*;

    #[test]
    fn a_post_is_repeated_only_where_nothing_was_done() {
        let policy = Policy::default();
        let daring = Policy { repeat_post: true, ..Policy::default() };
        let refused = |status| Stage::Refused(StatusCode::from_u16(status).unwrap());
        let fault = |stage| Fault::new(stage, ErrorCode::BAD_REQUEST, "");
        for (stage, get, post, post_when_daring) in [
            (Stage::Unsent, true, true, true),
            (Stage::Unanswered, true, false, true),
            (refused(429), true, true, true),
            (refused(500), true, false, true),
            (refused(502), true, true, true),
            (refused(503), true, true, true),
            (refused(504), false, false, false),
            (refused(408), false, false, false),
            (refused(413), false, false, false),
            (Stage::Settled, false, false, false),
        ] {
            let allowed = [
                policy.allows(&Method::GET, &fault(stage)),
                policy.allows(&Method::POST, &fault(stage)),
                daring.allows(&Method::POST, &fault(stage)),
            ];
            assert_eq!(allowed, [get, post, post_when_daring], "{stage:?}");
        }
        let mut asked = fault(refused(413));
        asked.retry_after = Some(Duration::ZERO);
        assert!(policy.allows(&Method::POST, &asked));
    }

    #[test]
    fn the_earliest_time_counts() {
        let until = Instant::now() + Duration::from_secs(1);
        let policy = Policy { total: Some(Duration::from_secs(60)), until: Some(until), ..Policy::default() };
        assert_eq!(policy.deadline(), Some(until));
        let started = policy.started();
        assert_eq!((started.until, started.started().begun), (Some(until), started.begun));
        assert_eq!(Policy::default().deadline(), None);
        let endless = Policy { total: Some(Duration::MAX), ..Policy::default() };
        assert_eq!(endless.deadline(), None);
    }

    #[test]
    fn the_server_s_wish_comes_first() {
        let policy = Policy { backoff: Backoff::Mlflow { factor: 0.0, jitter: 0.0 }, ..Policy::default() };
        let deaf = Policy { respect_retry_after: false, ..policy.clone() };
        let asked = Some(Duration::from_secs(9));
        assert_eq!(policy.wait(1, asked), Duration::from_secs(9));
        assert_eq!(deaf.wait(1, asked), Duration::ZERO);
        assert_eq!(policy.wait(2, Some(Duration::ZERO)), Duration::ZERO);
    }
}
