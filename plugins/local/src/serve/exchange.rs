//! The current exchange of a connection, from the first byte of a request to the last byte of its response: its
//! deadline, and the permits that it holds.
//!
//! For hyper, a request ends when the head of its response is ready. The permits are held until the system has taken
//! the last byte of the response, which only the stream observes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use mlflow_deploy_plugin_api::sync;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

/// The time after the deadline in which the response to a timeout may still be sent.
const SEND_GRACE: Duration = Duration::from_secs(1);

/// The exchange of a connection. Clones share it.
#[derive(Clone)]
pub(super) struct Exchange(Arc<Shared>);

struct Shared {
    /// The maximum time of a request and its response.
    limit: Duration,
    /// The deadline of the current request.
    until: watch::Sender<Option<Instant>>,
    state: Mutex<ExchangeState>,
}

#[derive(Default)]
struct ExchangeState {
    permits: Vec<OwnedSemaphorePermit>,
    /// True if hyper has read all of the response's body.
    is_body_done: bool,
}

impl Exchange {
    pub(super) fn new(limit: Duration) -> Self {
        Self(Arc::new(Shared { limit, until: watch::Sender::new(None), state: Mutex::default() }))
    }

    /// Begins an exchange, unless one has begun. Returns its deadline.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        let end = now.checked_add(self.0.limit).unwrap_or_else(|| now + Duration::from_secs(u32::MAX.into()));
        if let Some(until) = *self.0.until.borrow() {
            return until;
        }
        self.0.until.send_replace(Some(end));
        end
    }

    /// Holds a permit until the response has been sent.
    pub(super) fn hold(&self, permit: OwnedSemaphorePermit) {
        self.lock().permits.push(permit);
    }

    /// Tracks the end of a response's body.
    pub(super) fn track(&self, response: Response) -> Response {
        response.map(|body| Body::new(TrackedBody { body, _done: BodyDone(self.clone()) }))
    }

    /// Waits until a request has exceeded its deadline and [`SEND_GRACE`].
    pub(super) async fn expired(&self) {
        let mut changes = self.0.until.subscribe();
        loop {
            let until = *changes.borrow_and_update();
            let expiry = async {
                match until.and_then(|until| until.checked_add(SEND_GRACE)) {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = expiry => return,
                // The sender exists as long as `self`.
                _changed = changes.changed() => {}
            }
        }
    }

    /// Ends the exchange if the response is complete. Called when the system has taken all bytes that hyper wrote.
    fn on_flush(&self) {
        let mut state = self.lock();
        if state.is_body_done {
            *state = ExchangeState::default();
            self.0.until.send_replace(None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ExchangeState> {
        sync::lock(&self.0.state)
    }
}

/// Marks the response's body as done when hyper drops the body.
struct BodyDone(Exchange);

impl Drop for BodyDone {
    fn drop(&mut self) {
        self.0.lock().is_body_done = true;
    }
}

/// The body of a response.
struct TrackedBody {
    body: Body,
    _done: BodyDone,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The stream of a connection, which begins and ends exchanges.
pub(super) struct TrackedStream {
    pub(super) stream: TcpStream,
    pub(super) exchange: Exchange,
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.exchange.begin();
        }
        read
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written its whole buffer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.exchange.on_flush();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
