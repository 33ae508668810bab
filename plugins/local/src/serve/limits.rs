//! What one request may cost: bytes, time, and a place among the others.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::answers::Refused;
use super::exchange::Exchange;

/// The limits of one server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// From the first byte of a request to the last of its answer.
    pub(super) timeout: Duration,
    /// The length of a request's body.
    pub(super) max_request_bytes: usize,
    /// How many requests are taken on at once.
    pub(super) max_requests: usize,
}

/// Memory for bodies and answers, shared by all requests: a mebibyte for each permit.
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    const MIB: usize = 1 << 20;

    /// A gibibyte, or as much as the longest body takes.
    pub(super) fn new(max_request_bytes: usize) -> Self {
        Self::of_mib(max_request_bytes.div_ceil(Self::MIB).max(1024))
    }

    pub(super) fn of_mib(mib: usize) -> Self {
        Self(Arc::new(Semaphore::new(mib.min(Semaphore::MAX_PERMITS))))
    }

    /// Has `taken` stand for so many bytes, no fewer and no more; whether there was room.
    pub(super) fn fit(&self, taken: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> bool {
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

/// Gives up a request that takes too long, and with it a prediction that runs.
pub(super) async fn in_time(Extension(exchange): Extension<Exchange>, request: Request, next: Next) -> Response {
    match timeout_at(exchange.begin(), next.run(request)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Refused::Timeout.into_response(),
    }
}

/// Reads a request's body to its end, though it keeps no more than the limit: a client that is still sending would not
/// read why it is refused. Only one that asks before it sends is told at once. The room is the body's until its permit
/// is dropped.
pub(super) async fn read(
    request: Request,
    limit: usize,
    room: &Room,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Refused> {
    let announced = axum::body::HttpBody::size_hint(request.body()).lower();
    let is_too_long = announced > limit as u64;
    if is_too_long && request.headers().contains_key("expect") {
        return Err(Refused::TooLong(limit));
    }
    let (mut kept, mut taken, mut is_full) = (Vec::new(), None, false);
    if !is_too_long && let Ok(announced) = usize::try_from(announced) {
        // What a client announces it need not send.
        kept.reserve(announced.min(1 << 20));
    }
    let mut length = 0_usize;
    let mut body: Body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refused::Broken(error.to_string()))?;
        let Ok(piece) = frame.into_data() else { continue };
        length = length.saturating_add(piece.len());
        is_full |= length <= limit && !room.fit(&mut taken, length);
        if length > limit || is_full {
            (kept, taken) = (Vec::new(), None);
        } else {
            kept.extend_from_slice(&piece);
        }
    }
    match (length > limit, is_full) {
        (true, _) => Err(Refused::TooLong(limit)),
        (false, true) => Err(Refused::Full),
        (false, false) => Ok((kept, taken)),
    }
}
