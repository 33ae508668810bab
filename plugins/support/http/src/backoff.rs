//! Computes the wait before each retry of a request.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The rule for the wait before each retry of a request, unless the server specifies the wait.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "built by plugins, and taken apart here alone")]
pub enum Backoff {
    /// The first retry follows at once. The later waits are `factor`·2, `factor`·4, … seconds, plus a random time of up
    /// to `jitter` seconds. Each wait is at most 120 seconds.
    ///
    /// Source: `urllib3.util.Retry`, as MLflow configures it.
    Mlflow {
        /// The number of seconds that is multiplied by 2, 4, 8, ….
        factor: f64,
        /// The maximum random time that is added to a wait, in seconds.
        jitter: f64,
    },
    /// The wait before the first retry is `first` seconds. Each later wait is twice the previous one, at most 8
    /// seconds. Each wait is then shortened by up to a quarter at random.
    ///
    /// Source: the Python package `openai`, in which `first` is half a second.
    OpenAi {
        /// The wait before the first retry, in seconds.
        first: f64,
    },
}

impl Backoff {
    /// Returns the wait before the retry with this number. The first retry has the number 1.
    pub(crate) fn wait(self, retry: u32) -> Duration {
        let doubled = 2_f64.powf(f64::from(retry.saturating_sub(1)));
        let seconds = match self {
            Self::Mlflow { .. } if retry < 2 => 0.0,
            Self::Mlflow { factor, jitter } => (factor * doubled + jitter * fastrand::f64()).min(120.0),
            Self::OpenAi { first } => (first * doubled).min(8.0) * (1.0 - 0.25 * fastrand::f64()),
        };
        Duration::from_secs_f64(seconds.max(0.0))
    }
}

/// Returns the wait that the server requests in a header: OpenAI's `retry-after-ms` in milliseconds, or else
/// `Retry-After` in seconds or as a date. The wait until a past date is zero.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let milliseconds = headers.get("retry-after-ms").and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
    if let Some(wait) = milliseconds.and_then(|wait| Duration::try_from_secs_f64(wait / 1000.0).ok()) {
        return Some(wait);
    }
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_not_seconds) => {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mlflow_s_backoff_doubles_up_to_two_minutes() {
        let mlflow = |factor, jitter| Backoff::Mlflow { factor, jitter };
        let waits: Vec<_> = (1..=8).map(|retry| mlflow(2.0, 0.0).wait(retry).as_secs()).collect();
        assert_eq!(waits, [0, 4, 8, 16, 32, 64, 120, 120]);
        let jittered = mlflow(2.0, 1.0).wait(2);
        assert!((4.0..5.0).contains(&jittered.as_secs_f64()), "{jittered:?}");
        assert_eq!(mlflow(0.0, 0.0).wait(11), Duration::ZERO);
    }

    #[test]
    fn openai_s_backoff_doubles_up_to_eight_seconds() {
        for (retry, max) in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 8.0), (1000, 8.0)] {
            let wait = Backoff::OpenAi { first: 0.5 }.wait(retry).as_secs_f64();
            assert!((max * 0.75..=max).contains(&wait), "{retry}: {wait}");
        }
    }

    #[test]
    fn retry_after_reads_seconds_and_dates() {
        let after = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(after("2"), Some(Duration::from_secs(2)));
        assert_eq!(after("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(after(&httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90))).unwrap().as_secs() > 80);
        assert_eq!((after("soon"), after("-1"), after("1e300"), after("nan")), (None, None, None, None));
        assert_eq!(retry_after(&HeaderMap::new()), None);
        let both = [("retry-after-ms", "1500"), ("retry-after", "9")];
        let both = both.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        assert_eq!(retry_after(&HeaderMap::from_iter(both)), Some(Duration::from_millis(1500)));
    }
}
