//! The distribution of durations, in a bounded memory.

use std::time::Duration;

/// The number of buckets for each power of two. A duration is known to 1 part in 32.
const STEPS: u64 = 32;

/// The distribution of durations, from which percentiles are read. Its size does not depend on the number of durations.
///
/// ```
/// use std::time::Duration;
///
/// let mut latencies = mlflow_deploy::bulk::Latencies::default();
/// (1..=100).for_each(|ms| latencies.add(Duration::from_millis(ms)));
/// let median = latencies.percentile(50.0);
/// assert!(median >= Duration::from_millis(50) && median <= Duration::from_millis(52));
/// ```
#[derive(Clone, Debug)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; bucket(u64::MAX) + 1], count: 0, max: Duration::ZERO }
    }
}

impl Latencies {
    /// Adds a duration.
    pub fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    /// Returns the duration that `percent` of all durations do not exceed; zero if there are none.
    pub fn percentile(&self, percent: f64) -> Duration {
        let mut below = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below += count;
            if below > 0 && to_f64(below) >= to_f64(self.count) * percent / 100.0 {
                return Duration::from_micros(upper_end(bucket)).min(self.max);
            }
        }
        self.max
    }

    /// Returns the longest duration.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }
}

fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Returns the bucket of a number: exact below `STEPS`, then `STEPS` buckets for each power of two.
fn bucket(micros: u64) -> usize {
    let shift = micros.checked_ilog2().unwrap_or_default().saturating_sub(STEPS.ilog2());
    let bucket = u64::from(shift) * STEPS + (micros >> shift);
    usize::try_from(bucket).expect("there are less than 2,000 buckets")
}

/// Returns the largest number in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).expect("there are less than 2,000 buckets");
    let shift = (bucket / STEPS).saturating_sub(1);
    let first = bucket - shift * STEPS;
    (first << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_in_its_bucket() {
        for micros in [0, 1, 31, 32, 63, 64, 65, 1_000, 1_000_000, 123_456_789, u64::MAX / 2, u64::MAX] {
            let end = upper_end(bucket(micros));
            assert!(end >= micros && end - micros <= micros / 16, "{micros}: {end}");
        }
        assert_eq!(bucket(63) + 1, bucket(64));
    }

    #[test]
    fn percentiles_are_close() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50.0), Duration::ZERO);
        (1..=1_000).for_each(|micros| latencies.add(Duration::from_micros(micros)));
        for (percent, micros) in [(0.0, 1), (50.0, 500), (99.0, 990), (100.0, 1_000)] {
            let found = u64::try_from(latencies.percentile(percent).as_micros()).unwrap();
            assert!(found >= micros && found <= micros + micros / 16, "{percent}: {found}");
        }
        assert_eq!((latencies.max(), latencies.count()), (Duration::from_millis(1), 1_000));
    }
}
