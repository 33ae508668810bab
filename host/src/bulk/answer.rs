//! The answer to a request of a bulk prediction, which holds the place of the request until it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use mlflow_deploy_plugin_api::Error;

use super::job::Job;
use crate::Usage;

/// The answer to a request of a bulk prediction: a line or an error for each row.
///
/// Counts as a request in flight until it is dropped, see [`BulkAnswers`](super::BulkAnswers).
#[derive(Debug)]
pub struct BulkAnswer {
    pub(super) job: Job,
    _slot: Slot,
}

impl BulkAnswer {
    pub(super) fn new(job: Job, slots: &Slots) -> Self {
        Self { job, _slot: slots.take() }
    }

    /// Returns the number of the request.
    pub fn number(&self) -> u64 {
        self.job.request.number
    }

    /// Returns the line of each row in the input, and its answer as one line of JSON or its error.
    ///
    /// The line of a row that was sent together with others has the one prediction of that row.
    pub fn results(&self) -> impl Iterator<Item = (u64, Result<&[u8], &Error>)> {
        self.job.results().map(|(line, result)| (line, result.as_deref()))
    }

    /// Returns the tokens that the target has counted; 0 if it counts none.
    pub fn usage(&self) -> Usage {
        self.job.usage
    }

    /// Returns the time between the last attempt to send the request and its answer; zero if it was not sent.
    pub fn latency(&self) -> Duration {
        self.job.latency
    }

    /// Returns the number of requests that were sent for this answer, with retries and parts.
    pub fn requests(&self) -> u32 {
        self.job.requests
    }

    /// Returns the number of input bytes up to the end of this request; 0 for a request that was not read from a file.
    pub fn input_bytes(&self) -> u64 {
        self.job.request.input_bytes
    }
}

/// The places of the answers that are not dropped.
#[derive(Debug, Default)]
pub(super) struct Slots(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: AtomicUsize,
    waker: AtomicWaker,
}

/// A place, which is free again when this value is dropped.
#[derive(Debug)]
struct Slot(Arc<Shared>);

impl Slots {
    /// Returns the number of answers that are not dropped.
    pub(super) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Wakes this task when an answer is dropped.
    pub(super) fn wake_by(&self, waker: &Waker) {
        self.0.waker.register(waker);
    }

    fn take(&self) -> Slot {
        self.0.taken.fetch_add(1, Ordering::AcqRel);
        Slot(Arc::clone(&self.0))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.waker.wake();
    }
}
