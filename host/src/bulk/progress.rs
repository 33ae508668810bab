//! The requests that an interrupted run has finished, and the totals of a run.

use std::io;

use super::ranges::Ranges;
use crate::Usage;

/// The requests that an interrupted run has finished. A [`BulkInput`](super::BulkInput) skips them, and checks that it has
/// the same rows.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    pub(super) done: Ranges,
    /// The number of requests from the start without a gap, and the checksum of their rows.
    pub(super) first: u64,
    pub(super) checksum: u64,
}

impl Finished {
    /// Returns true if a request is finished.
    ///
    /// # Errors
    /// Fails if the input does not have the rows of the interrupted run.
    pub(super) fn is_finished(&self, number: u64, checksum: u64) -> io::Result<bool> {
        if number + 1 == self.first && checksum != self.checksum {
            let message = format!(
                "the input differs from that of the interrupted run, in its first {} requests: use the same input, or start over without `--resume`",
                self.first
            );
            return Err(io::Error::other(message));
        }
        Ok(self.done.contains(number))
    }

    /// Checks that an input with this number of requests has all finished ones.
    ///
    /// # Errors
    /// Fails if it does not.
    pub(super) fn check_end(&self, requests: u64) -> io::Result<()> {
        if requests >= self.first {
            return Ok(());
        }
        let message = format!(
            "the input differs from that of the interrupted run: it has {requests} requests, of which {} are finished",
            self.first
        );
        Err(io::Error::other(message))
    }
}

/// The totals of a run: also those of its parts before an interruption, if it was resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The rows with an answer or an error.
    pub rows: u64,
    /// The rows with an error.
    pub failed: u64,
    /// The tokens that the target has counted.
    pub usage: Usage,
}

impl Totals {
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.failed += other.failed;
        self.usage += other.usage;
    }
}
