//! The caller's side of a stream: takes chunks, and allows the plugin to send more.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::in_flight::InFlight;
use super::pending::Parts;
use crate::{Payload, Result};

/// The number of chunks that a plugin may send at first before the caller has taken them. See [`Window`].
pub(super) const FIRST_WINDOW: u32 = 16;

/// The maximum number of chunks that a plugin may send before the caller has taken them.
pub(super) const MAX_WINDOW: u32 = 256;

/// The number of chunks that a plugin may send before the caller has taken them. It grows while the chunks are small, so
/// that the two sides wake each other less often: a chunk of 150 bytes takes a third of the time with 256 as with 16.
pub(super) struct Window {
    size: u32,
    /// The number and the bytes of the chunks that the caller has taken since the last grant.
    taken: u32,
    bytes: usize,
}

impl Window {
    /// The window of a stream that begins.
    pub(super) const FIRST: Self = Self { size: FIRST_WINDOW, taken: 0, bytes: 0 };
    /// The maximum bytes of all chunks in a window that has grown, if later chunks are as large as the last ones.
    const MAX_BYTES: usize = 256 << 10;

    /// Notes that the caller has taken a chunk. Returns the number of chunks to grant, which is zero most of the time: a
    /// call for each chunk would cost more than the chunk.
    pub(super) fn take(&mut self, bytes: usize) -> u32 {
        self.taken += 1;
        self.bytes += bytes;
        if self.taken < self.size / 2 {
            return 0;
        }
        let chunks = Self::MAX_BYTES * self.taken as usize / self.bytes.max(1);
        let fitting = u32::try_from(chunks).unwrap_or(u32::MAX).clamp(FIRST_WINDOW, MAX_WINDOW);
        let grant = (self.taken + fitting.min(2 * self.size)).saturating_sub(self.size);
        *self = Self { size: self.size - self.taken + grant, taken: 0, bytes: 0 };
        grant
    }
}

/// The chunks of one call. The stream ends after the last chunk, or with the first error. Dropping the stream cancels
/// the call.
pub struct RemoteStream {
    items: mpsc::UnboundedReceiver<Result<Parts>>,
    call: InFlight,
    window: Window,
}

impl RemoteStream {
    pub(super) fn new(items: mpsc::UnboundedReceiver<Result<Parts>>, call: InFlight) -> Self {
        Self { items, call, window: Window::FIRST }
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
        if let Some(Ok(chunk)) = &item {
            let grant = self.window.take(chunk.size());
            if grant > 0 {
                self.call.grant(grant);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes chunks of this size until the window has a constant size. Returns that size.
    fn settled(window: &mut Window, bytes: usize) -> u32 {
        let mut outstanding = i64::from(window.size - window.taken);
        for _ in 0..10_000 {
            outstanding += i64::from(window.take(bytes)) - 1;
            assert!((0..=i64::from(MAX_WINDOW)).contains(&outstanding));
        }
        window.size
    }

    #[test]
    fn window_grows_for_small_chunks_and_shrinks_for_large_ones() {
        let mut window = Window::FIRST;
        for (bytes, size) in [(0, 256), (1 << 20, 16), (100, 256), (2 << 10, 128), (10 << 10, 25), (0, 256)] {
            assert_eq!(settled(&mut window, bytes), size, "{bytes}");
        }
    }
}
