//! Decides if a prediction is quick enough for the calling thread.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The measured times of a model's predictions, by the size of the request. Requests of similar size share one average.
#[derive(Debug)]
pub(super) struct RunTimes {
    /// The moving averages in microseconds. The index is the number of bits of the request's size.
    averages: [AtomicU32; usize::BITS as usize + 1],
}

/// The average of a size that was never measured.
const UNKNOWN: u32 = u32::MAX;

impl RunTimes {
    /// The maximum average time of a prediction that may run on the calling thread. Another thread would cost about 80
    /// microseconds, so a longer prediction gains little, and delays the other calls of its caller.
    const LIMIT: Duration = Duration::from_micros(100);

    /// Returns true if predictions for requests with about `bytes` bytes were quick so far.
    pub(super) fn is_quick(&self, bytes: usize) -> bool {
        Duration::from_micros(self.average(bytes).load(Ordering::Relaxed).into()) <= Self::LIMIT
    }

    /// Runs a prediction for a request with `bytes` bytes, and adds its time to the average.
    pub(super) fn measure<T>(&self, bytes: usize, run: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = run();
        self.add(bytes, begun.elapsed());
        result
    }

    fn add(&self, bytes: usize, took: Duration) {
        let average = self.average(bytes);
        let took = u32::try_from(took.as_micros()).unwrap_or(UNKNOWN);
        let next = match average.load(Ordering::Relaxed) {
            UNKNOWN => took,
            // The fourth part is rounded up, so that the average reaches a lower time.
            known => known - known.div_ceil(4) + took / 4,
        };
        // Of two updates at the same time, one is lost, which does not matter.
        average.store(next.min(UNKNOWN - 1), Ordering::Relaxed);
    }

    fn average(&self, bytes: usize) -> &AtomicU32 {
        &self.averages[(usize::BITS - bytes.leading_zeros()) as usize]
    }
}

impl Default for RunTimes {
    fn default() -> Self {
        Self { averages: std::array::from_fn(|_| AtomicU32::new(UNKNOWN)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(20);
    const SLOW: Duration = Duration::from_millis(40);

    #[test]
    fn a_size_is_quick_once_it_was_measured() {
        let times = RunTimes::default();
        assert!(!times.is_quick(100));
        times.add(100, QUICK);
        assert!(times.is_quick(100) && times.is_quick(127));
        assert!(!times.is_quick(0) && !times.is_quick(1000) && !times.is_quick(usize::MAX));
    }

    #[test]
    fn one_slow_run_ends_quick_runs_until_several_were_quick_again() {
        let times = RunTimes::default();
        times.add(100, QUICK);
        times.add(100, SLOW);
        assert!(!times.is_quick(100));
        let runs = (1..100).find(|_| {
            times.add(100, QUICK);
            times.is_quick(100)
        });
        assert!((10..40).contains(&runs.unwrap()), "{runs:?}");
    }

    #[test]
    fn the_longest_time_is_slow_and_known() {
        let times = RunTimes::default();
        times.add(1, Duration::MAX);
        assert!(!times.is_quick(1));
        for _ in 0..100 {
            times.add(1, Duration::ZERO);
        }
        assert!(times.is_quick(1));
    }
}
