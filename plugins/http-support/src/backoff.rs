//! How long to wait before a request is sent again.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// No back-off is longer, whatever the factor.
const LONGEST: f64 = 120.0;

/// The wait before a retry, counted from 1: none, then `factor`·2ⁿ⁻¹ seconds plus up to `jitter`.
///
/// Source: `urllib3.util.Retry`, as MLflow configures it.
pub(crate) fn backoff(retry: u32, factor: f64, jitter: f64) -> Duration {
    if retry < 2 {
        return Duration::ZERO;
    }
    let doubled = factor * 2_f64.powf(f64::from(retry - 1));
    Duration::from_secs_f64((doubled + jitter * fastrand::f64()).clamp(0.0, LONGEST))
}

/// How long the server asked to wait, in seconds or until a date. A date that has passed asks for nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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
    fn it_doubles_and_ends_at_two_minutes() {
        let waits: Vec<_> = (1..=8).map(|retry| backoff(retry, 2.0, 0.0).as_secs()).collect();
        assert_eq!(waits, [0, 4, 8, 16, 32, 64, 120, 120]);
        let jittered = backoff(2, 2.0, 1.0);
        assert!((4.0..5.0).contains(&jittered.as_secs_f64()), "{jittered:?}");
        assert_eq!(backoff(11, 0.0, 0.0), Duration::ZERO);
    }

    #[test]
    fn the_server_s_wish_is_seconds_or_a_date() {
        let after = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(after("2"), Some(Duration::from_secs(2)));
        assert_eq!(after("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(after(&httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90))).unwrap().as_secs() > 80);
        assert_eq!((after("soon"), after("-1"), after("1e300"), after("nan")), (None, None, None, None));
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
