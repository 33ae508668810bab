//! What one request may cost: bytes, time, and a place among the others.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::answers::Refused;
use super::routes::Server;

/// The limits of one server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// From the head of a request to its answer.
    pub(super) timeout: Duration,
    /// The length of a request's body.
    pub(super) max_request_bytes: usize,
    /// How many requests are taken on at once.
    pub(super) max_requests: usize,
}

/// Gives up a request that takes too long, and with it a prediction that runs.
pub(super) async fn in_time(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    match timeout(server.limits.timeout, next.run(request)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Refused::Timeout.into_response(),
    }
}

/// Reads a request's body to its end, though it keeps no more than the limit: a client that is still sending would not
/// read why it is refused. Only one that asks before it sends is told at once.
pub(super) async fn read(request: Request, limit: usize) -> Result<Vec<u8>, Refused> {
    let announced = axum::body::HttpBody::size_hint(request.body()).lower();
    let is_too_long = announced > limit as u64;
    if is_too_long && request.headers().contains_key("expect") {
        return Err(Refused::TooLong(limit));
    }
    let mut kept = Vec::new();
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
        if length > limit {
            kept = Vec::new();
        } else {
            kept.extend_from_slice(&piece);
        }
    }
    if length > limit { Err(Refused::TooLong(limit)) } else { Ok(kept) }
}
