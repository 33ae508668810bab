//! Enforces the limits for requests: the length of a body, the time of a request, and the total memory for bodies.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::exchange::Exchange;
use super::rejection::Rejection;

/// The limits for the requests to a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// The maximum time from the first byte of a request to the last byte of its response.
    pub(super) timeout: Duration,
    /// The maximum length of a request body, in bytes.
    pub(super) max_request_bytes: usize,
    /// The maximum number of prediction requests that the server handles at the same time.
    pub(super) max_requests: usize,
}

/// The total memory for the bodies of all current requests and responses. One permit of the semaphore stands for one
/// mebibyte.
pub(super) struct MemoryBudget(Arc<Semaphore>);

impl MemoryBudget {
    const MIB: usize = 1 << 20;

    /// Creates a budget of one gibibyte, or of `max_request_bytes` if that is more.
    pub(super) fn new(max_request_bytes: usize) -> Self {
        Self::of_mib(max_request_bytes.div_ceil(Self::MIB).max(1024))
    }

    pub(super) fn of_mib(mib: usize) -> Self {
        Self(Arc::new(Semaphore::new(mib.min(Semaphore::MAX_PERMITS))))
    }

    /// Changes the memory that `taken` reserves to `bytes`, rounded up to mebibytes. Returns false and changes nothing
    /// if the budget does not have enough memory left.
    pub(super) fn resize(&self, taken: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> bool {
        let (has, needs) = (taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits), bytes.div_ceil(Self::MIB));
        if needs <= has {
            drop(taken.as_mut().and_then(|taken| taken.split(has - needs)));
            return true;
        }
        let more = u32::try_from(needs - has).map_err(drop);
        let Ok(more) = more.and_then(|more| Arc::clone(&self.0).try_acquire_many_owned(more).map_err(drop)) else {
            return false;
        };
        match taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        true
    }
}

/// Handles a request until its deadline. At the deadline, cancels the prediction and returns a timeout response.
pub(super) async fn enforce_timeout(
    Extension(exchange): Extension<Exchange>,
    request: Request,
    next: Next,
) -> Response {
    match timeout_at(exchange.begin(), next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Rejection::Timeout.into_response(),
    }
}

/// Reads the body of a request. Returns the body, and a permit that reserves memory for it in the budget. Dropping the
/// permit frees that memory.
///
/// Reads a body that exceeds `limit` to the end and discards it, because many clients read the response only after they
/// have sent the whole body. Returns an error at once if the request has an `Expect` header, because such a client
/// waits for a response before it sends the body.
pub(super) async fn read_body(
    request: Request,
    limit: usize,
    memory: &MemoryBudget,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Rejection> {
    let announced = axum::body::HttpBody::size_hint(request.body()).lower();
    let is_too_long = announced > limit as u64;
    if is_too_long && request.headers().contains_key("expect") {
        return Err(Rejection::TooLong(limit));
    }
    let (mut kept, mut taken, mut is_full) = (Vec::new(), None, false);
    if !is_too_long && let Ok(announced) = usize::try_from(announced) {
        // The client may send less than it announces.
        kept.reserve(announced.min(1 << 20));
    }
    let mut length = 0_usize;
    let mut body: Body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Rejection::BrokenBody(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        is_full |= length <= limit && !memory.resize(&mut taken, length);
        if length > limit || is_full {
            (kept, taken) = (Vec::new(), None);
        } else {
            kept.extend_from_slice(&data);
        }
    }
    match (length > limit, is_full) {
        (true, _) => Err(Rejection::TooLong(limit)),
        (false, true) => Err(Rejection::OutOfMemory),
        (false, false) => Ok((kept, taken)),
    }
}
