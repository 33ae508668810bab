//! The caller's side of a stream: takes chunks, and allows the plugin to send more.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::in_flight::InFlight;
use super::pending::Parts;
use crate::{Payload, Result};

/// The maximum number of chunks that a plugin may send before the caller has taken them.
pub(super) const WINDOW: u32 = 16;

/// The chunks of one call. The stream ends after the last chunk, or with the first error. Dropping the stream cancels
/// the call.
pub struct RemoteStream {
    items: mpsc::UnboundedReceiver<Result<Parts>>,
    call: InFlight,
    taken: u32,
}

impl RemoteStream {
    pub(super) fn new(items: mpsc::UnboundedReceiver<Result<Parts>>, call: InFlight) -> Self {
        Self { items, call, taken: 0 }
    }

    /// Waits for the next chunk. Returns `None` after the last chunk.
    pub async fn next(&mut self) -> Option<Result<Payload>> {
        std::future::poll_fn(|poll| self.poll(poll)).await
    }

    /// Cancels the call of this stream. The stream ends when the plugin has replied.
    pub fn cancel(&self) {
        self.call.cancel();
    }

    fn poll(&mut self, poll: &mut Context<'_>) -> Poll<Option<Result<Payload>>> {
        let item = ready!(self.items.poll_recv(poll));
        if matches!(item, Some(Ok(_))) {
            self.taken += 1;
            // Grants half a window at a time: a call for each chunk would cost more than the chunk.
            if self.taken == WINDOW / 2 {
                self.call.grant(self.taken);
                self.taken = 0;
            }
        }
        Poll::Ready(item.map(|parts| parts.and_then(Parts::read)))
    }
}

impl Stream for RemoteStream {
    type Item = Result<Payload>;

    fn poll_next(mut self: Pin<&mut Self>, poll: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Self::poll(&mut self, poll)
    }
}

impl fmt::Debug for RemoteStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RemoteStream({:?})", self.call)
    }
}
