//! Sends the requests of a bulk prediction and returns their answers. Reads and writes no files.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_timer::Delay;
use futures_util::stream::FuturesUnordered;
use mlflow_deploy_plugin_api::args::Predict;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Payload, Result};

use super::answer::{BulkAnswer, Slots};
use super::job::Job;
use super::limiter::{Limiter, Next, Signal};
use super::predict::BulkPredict;
use super::request::BulkRequest;

/// The maximum distance between the oldest request without an answer and the newest. It bounds the number of answers
/// that wait for an earlier one.
pub(super) const WINDOW: u64 = 16_384;

/// The number of requests in a row that get no answer after all retries, after which the target counts as unreachable.
const MAX_GIVEN_UP: u32 = 10;

/// A [`Stream`] of the answers to the requests of a [`BulkPredict`], in the order in which they arrive.
///
/// An error ends the stream. It means that more requests would fail in the same way, for example because the credentials
/// are refused or because the target cannot be reached. The error of a single row is part of its [`BulkAnswer`].
///
/// # Load
/// Requests are in flight up to the number of [jobs](BulkPredict::jobs). An answer counts as in flight until it is
/// dropped: a program that writes an answer before it drops it knows that at most so many requests were sent whose answers
/// are not written.
///
/// If the target refuses a request because of its load (HTTP status 429, or 503 with `Retry-After`), all requests wait for
/// the time of `Retry-After`. If it refuses more than a quarter of the requests, half as many may be in flight; the number
/// grows by one with each set of requests that are answered. If the target still answers nearly all requests that were
/// sent before such a wait, the wait was not needed; after two of these in a row, only the refused request waits.
///
/// # Retries
/// A request with a retryable error is sent again, up to the [maximum](BulkPredict::max_retries). A refusal with status
/// 429 does not count, if other requests were answered in the meantime. Rows that were sent together and refused with
/// another error are sent again in two halves, until only the bad rows have an error.
#[derive(Debug)]
pub struct BulkAnswers<S> {
    bulk: BulkPredict,
    source: Option<Pin<Box<S>>>,
    in_flight: FuturesUnordered<Attempt>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// The numbers of the requests without a final answer.
    unfinished: BTreeSet<u64>,
    next_number: u64,
    limiter: Limiter,
    ready: VecDeque<BulkAnswer>,
    slots: Slots,
    timer: Option<Delay>,
    /// The number of requests that the target has answered with predictions.
    accepted: u64,
    given_up: u32,
    is_over: bool,
}

/// The state of a running bulk prediction, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkLoad {
    /// The number of requests that have been sent and not answered.
    pub in_flight: usize,
    /// The number of requests that may be in flight now.
    pub limit: usize,
    /// The time until the next request is sent, because the target has asked to wait.
    pub pause: Option<Duration>,
}

/// A request that is sent.
struct Attempt(Pin<Box<dyn Future<Output = Sent> + Send>>);

/// A request that was sent, and the answer to it.
struct Sent {
    job: Job,
    at: Instant,
    result: Result<Payload>,
}

/// A request that waits for its next attempt.
#[derive(Debug)]
struct Waiting {
    due: Instant,
    job: Job,
}

/// The result of [`BulkAnswers::step`]: a step, or the time to wait for one.
enum Step {
    Done,
    Over,
    WaitUntil(Option<Instant>),
}

impl BulkPredict {
    /// Sends the requests and returns the answers, in the order in which they arrive. Reads a request only if it can be
    /// sent soon. An error of `requests` ends the answers.
    pub fn answers<S: Stream<Item = io::Result<BulkRequest>>>(self, requests: S) -> BulkAnswers<S> {
        BulkAnswers::new(self, requests)
    }
}

impl<S: Stream<Item = io::Result<BulkRequest>>> BulkAnswers<S> {
    fn new(bulk: BulkPredict, requests: S) -> Self {
        Self {
            limiter: Limiter::new(bulk.jobs, bulk.rate),
            bulk,
            source: Some(Box::pin(requests)),
            in_flight: FuturesUnordered::new(),
            waiting: BinaryHeap::new(),
            unfinished: BTreeSet::new(),
            next_number: 0,
            ready: VecDeque::new(),
            slots: Slots::default(),
            timer: None,
            accepted: 0,
            given_up: 0,
            is_over: false,
        }
    }

    /// Returns the next answer; `None` after the last one or an error.
    pub async fn next(&mut self) -> Option<Result<BulkAnswer, crate::Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns the next answer if there is one now. Does not wait for an answer, and sends no request.
    pub fn next_ready(&mut self) -> Option<BulkAnswer> {
        self.ready.pop_front()
    }

    /// Returns the number of requests in flight and the current limits.
    pub fn load(&self) -> BulkLoad {
        let pause = self.limiter.pause(Instant::now());
        BulkLoad { in_flight: self.in_flight.len(), limit: self.limiter.limit(), pause }
    }

    /// Handles the answer to an attempt.
    fn receive(&mut self, sent: Sent) -> Result<()> {
        let Sent { mut job, at, result } = sent;
        let now = Instant::now();
        let latency = now.saturating_duration_since(at);
        let wait = result.as_ref().err().and_then(throttle);
        self.limiter.answered(now, at, wait.map_or(Signal::Accepted, Signal::Throttled));
        match result {
            Ok(answer) => {
                (self.accepted, self.given_up) = (self.accepted + 1, 0);
                job.accept(&answer, latency);
            }
            Err(error) if self.ends_all(&error) => return Err(error),
            Err(error) if error.is_retryable() => {
                let others_were_accepted = self.accepted > job.accepted_before;
                let counts = error.http_status() != Some(429) || !others_were_accepted;
                if let Some(wait) = job.retry(counts, self.bulk.max_retries, error.retry_after()) {
                    self.waiting.push(Reverse(Waiting { due: now + wait, job }));
                    return Ok(());
                }
                self.given_up += 1;
                let is_unreachable = error.http_status().is_none() && self.accepted == 0;
                if is_unreachable || self.given_up >= MAX_GIVEN_UP {
                    return Err(error);
                }
                job.give_up(&error);
            }
            Err(error) => job.refuse(&error, latency),
        }
        self.go_on(job, now);
        Ok(())
    }

    /// Returns the answer of a job if it is done, or sends its next part.
    fn go_on(&mut self, job: Job, now: Instant) {
        if job.is_done() {
            self.unfinished.remove(&job.request.number);
            self.ready.push_back(BulkAnswer::new(job, &self.slots));
        } else {
            self.waiting.push(Reverse(Waiting { due: now, job }));
        }
    }

    /// Returns true if more requests would fail with the same error.
    fn ends_all(&self, error: &Error) -> bool {
        // A single row cannot be the cause of these, unless other rows have succeeded.
        let of_the_target = [
            ErrorCode::NOT_IMPLEMENTED,
            ErrorCode::PERMISSION_DENIED,
            ErrorCode::PLUGIN_PROTOCOL_VIOLATION,
            ErrorCode::RESOURCE_DOES_NOT_EXIST,
        ];
        let code = error.code();
        *code == ErrorCode::UNAUTHENTICATED || (self.accepted == 0 && of_the_target.contains(code))
    }

    /// Sends the next request if it may be sent now.
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, crate::Error> {
        let now = Instant::now();
        let due = self.waiting.peek().map(|Reverse(waiting)| waiting.due);
        if self.source.is_none() && due.is_none() && self.in_flight.is_empty() {
            return Ok(Step::Over);
        }
        match self.limiter.next(now, self.in_flight.len() + self.slots.taken()) {
            Next::Full => return Ok(Step::WaitUntil(None)),
            Next::At(at) => return Ok(Step::WaitUntil(Some(at))),
            Next::Now => {}
        }
        if due.is_some_and(|due| due <= now)
            && let Some(Reverse(Waiting { job, .. })) = self.waiting.pop()
        {
            self.send(job, now);
            return Ok(Step::Done);
        }
        // Without a bound, the answers that wait for this one would fill the memory.
        let is_far_ahead = self.unfinished.first().is_some_and(|oldest| self.next_number >= oldest + WINDOW);
        let Some(source) = self.source.as_mut().filter(|_| !is_far_ahead) else { return Ok(Step::WaitUntil(due)) };
        match source.as_mut().poll_next(context) {
            Poll::Pending => return Ok(Step::WaitUntil(due)),
            Poll::Ready(None) => self.source = None,
            Poll::Ready(Some(request)) => {
                let request = request.map_err(|error| Error::invalid_parameter(error.to_string()))?;
                self.next_number = request.number + 1;
                self.unfinished.insert(request.number);
                let job = Job::new(request);
                if job.is_done() { self.go_on(job, now) } else { self.send(job, now) }
            }
        }
        Ok(Step::Done)
    }

    fn send(&mut self, mut job: Job, now: Instant) {
        job.accepted_before = self.accepted;
        job.requests += 1;
        self.limiter.sent(now);
        let arguments = Predict { inputs: job.inputs(), ..self.bulk.arguments.clone() };
        let client = self.bulk.client.clone();
        self.in_flight.push(Attempt(Box::pin(async move {
            let result = client.predict(arguments).await;
            Sent { job, at: now, result }
        })));
    }
}

impl<S: Stream<Item = io::Result<BulkRequest>>> Stream for BulkAnswers<S> {
    type Item = Result<BulkAnswer, crate::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.slots.wake_by(context.waker());
        while !this.is_over {
            let received = match Pin::new(&mut this.in_flight).poll_next(context) {
                Poll::Ready(Some(sent)) => this.receive(sent).map(|()| Step::Done).map_err(crate::Error::from),
                _ if !this.ready.is_empty() => return Poll::Ready(this.ready.pop_front().map(Ok)),
                _ => this.step(context),
            };
            match received {
                Ok(Step::Done) => {}
                Ok(Step::Over) => this.is_over = true,
                Ok(Step::WaitUntil(until)) => {
                    this.timer = until.map(|until| Delay::new(until.saturating_duration_since(Instant::now())));
                    let is_due = this.timer.as_mut().is_some_and(|timer| Pin::new(timer).poll(context).is_ready());
                    if !is_due {
                        return Poll::Pending;
                    }
                }
                Err(error) => {
                    // Drops the requests in flight, and thereby cancels them.
                    this.in_flight.clear();
                    this.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// Returns the time to wait, if the target has refused a request because of its load: `Some(None)` if it has not said
/// how long to wait. Returns `None` for other errors.
fn throttle(error: &Error) -> Option<Option<Duration>> {
    match error.http_status() {
        Some(429) => Some(error.retry_after()),
        Some(503) => error.retry_after().map(Some),
        _ => None,
    }
}

impl Future for Attempt {
    type Output = Sent;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Sent> {
        self.0.as_mut().poll(context)
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Attempt")
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Orders by time, then by number, so that the oldest request is sent first.
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.job.request.number).cmp(&(other.due, other.job.request.number))
    }
}
