//! The deadline of a call, and the rules for its use.

use std::fmt;
use std::time::{Duration, Instant};

/// The time at which the caller of an operation stops waiting for the reply.
///
/// A deadline is created once, where the caller's limit enters a process, and is passed on unchanged. All code below
/// uses its [remaining](Self::remaining) time, so that loading, opening, retries and waits share one limit:
///
/// | created by | from |
/// |---|---|
/// | the host | the timeout that the user gives |
/// | the plugin's adapter | `timeout_ms` of the request, the remaining time of the host's deadline |
///
/// In a plugin the deadline is ambient: [`call::deadline()`](crate::call::deadline) returns the current call's. An
/// operation that has a limit of its own takes the earlier of both, with [`min`](Ord::min) or [`Iterator::min`].
///
/// # Grace periods
/// Several layers enforce the same deadline. An inner layer reports the cause of a delay in more detail, so the outer
/// layers wait a little longer, and report only if the inner layer did not. These are the only grace periods:
///
/// | layer | waits until |
/// |---|---|
/// | an operation: HTTP requests, polling, child processes | the deadline |
/// | the host's client, which drops the call and thereby cancels it | the deadline |
/// | the plugin's runtime, which drops the operation | [`RUNTIME_GRACE`](Self::RUNTIME_GRACE) later |
/// | the command, which exits even if a plugin blocks the calling thread | [`PROCESS_GRACE`](Self::PROCESS_GRACE) later |
///
/// ```
/// use std::time::Duration;
/// use mlflow_deploy_plugin_api::Deadline;
///
/// let caller = Deadline::after(Duration::from_secs(30));
/// assert!(!caller.is_past() && caller.remaining() <= Duration::from_secs(30));
/// assert_eq!(format!("no answer within {caller}"), "no answer within 30.0 s");
///
/// let request = Deadline::after(Duration::from_millis(50));
/// assert_eq!(caller.min(request), request);
/// assert!(request.is_within(Duration::from_secs(1)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    // The first field, because the derived order compares it first.
    instant: Instant,
    limit: Duration,
}

/// The maximum time limit of a deadline, which every clock can represent. A longer limit counts as this one.
const MAX_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Deadline {
    /// The time that the plugin's runtime waits after the deadline before it drops an operation.
    pub const RUNTIME_GRACE: Duration = Duration::from_millis(100);

    /// The time that the command waits after the deadline before it exits.
    pub const PROCESS_GRACE: Duration = Duration::from_millis(200);

    /// Returns the deadline that is the time `limit` from now. A limit of more than 100 years counts as 100 years.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { instant: Instant::now() + limit.min(MAX_LIMIT), limit }
    }

    /// Returns the deadline that is `timeout_ms` milliseconds from now, or `None` if `timeout_ms` is 0.
    pub(crate) fn from_timeout_ms(timeout_ms: u64) -> Option<Self> {
        (timeout_ms > 0).then(|| Self::after(Duration::from_millis(timeout_ms)))
    }

    /// Returns the deadline as a point in time, for timers.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.instant
    }

    /// Returns the time limit that the caller gave. `Display` shows this limit.
    #[must_use]
    pub fn limit(self) -> Duration {
        self.limit
    }

    /// Returns the time until the deadline, which is zero if the deadline is past.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.instant.saturating_duration_since(Instant::now())
    }

    /// Returns true if the deadline is past.
    #[must_use]
    pub fn is_past(self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns true if the deadline is at most `wait` from now. In that case, a caller that waits for `wait` misses it.
    #[must_use]
    pub fn is_within(self, wait: Duration) -> bool {
        self.remaining() <= wait
    }

    /// Returns a deadline that is later by `grace`. `Display` still shows the original limit.
    #[must_use]
    pub fn extended(self, grace: Duration) -> Self {
        Self { instant: self.instant + grace.min(MAX_LIMIT), ..self }
    }
}

/// Shows the time limit that the caller gave: `30.0 s`, or `50.0 ms` for a limit of less than 0.1 s.
impl fmt::Display for Deadline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.limit.as_secs_f64();
        if seconds < 0.1 {
            write!(formatter, "{:.1} ms", seconds * 1000.0)
        } else {
            write!(formatter, "{seconds:.1} s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_a_short_limit_in_milliseconds() {
        for (seconds, shown) in [(30.0, "30.0 s"), (0.5, "0.5 s"), (0.1, "0.1 s"), (0.05, "50.0 ms"), (0.001, "1.0 ms")]
        {
            assert_eq!(Deadline::after(Duration::from_secs_f64(seconds)).to_string(), shown);
        }
    }

    #[test]
    fn a_limit_beyond_every_clock_counts_as_a_century() {
        let endless = Deadline::after(Duration::MAX);
        assert!(endless.remaining() <= MAX_LIMIT && !endless.is_within(MAX_LIMIT / 2));
        assert_eq!(endless.limit(), Duration::MAX);
        assert!(endless.extended(Duration::MAX) > endless);
    }

    #[test]
    fn a_past_deadline_has_no_remaining_time() {
        let now = Deadline::after(Duration::ZERO);
        assert!(now.is_past() && now.is_within(Duration::ZERO));
        assert_eq!(now.remaining(), Duration::ZERO);
        assert!(!now.extended(Duration::from_secs(60)).is_past());
    }

    #[test]
    fn the_earlier_deadline_is_the_smaller() {
        let (early, late) = (Deadline::after(Duration::from_secs(1)), Deadline::after(Duration::from_secs(60)));
        assert_eq!([Some(late), Some(early), None].into_iter().flatten().min(), Some(early));
    }
}
