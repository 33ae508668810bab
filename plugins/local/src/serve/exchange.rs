//! Tracks the current request of a connection, from the first byte of the request to the last byte of its response. An
//! [`Exchange`] stores the deadline of the request, and holds the semaphore permits that the request has acquired.
//!
//! hyper reports the end of a request when the head of the response is ready. The permits must be held longer, until
//! the system has taken the last byte of the response. Only the connection's stream observes that moment.

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

/// The time after the deadline of a request in which the timeout response may still be sent.
const SEND_GRACE: Duration = Duration::from_secs(1);

/// The current request of a connection and its response. All clones refer to the same request.
#[derive(Clone)]
pub(super) struct Exchange(Arc<Shared>);

struct Shared {
    /// The maximum time from the first byte of a request to the last byte of its response.
    limit: Duration,
    /// The deadline of the current request; `None` between requests.
    until: watch::Sender<Option<Instant>>,
    state: Mutex<ExchangeState>,
}

#[derive(Default)]
struct ExchangeState {
    permits: Vec<OwnedSemaphorePermit>,
    /// True if hyper has read the whole body of the response.
    is_body_done: bool,
}

impl Exchange {
    pub(super) fn new(limit: Duration) -> Self {
        Self(Arc::new(Shared { limit, until: watch::Sender::new(None), state: Mutex::default() }))
    }

    /// Sets the deadline if a new request begins. Returns the deadline of the current request.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        let end = now.checked_add(self.0.limit).unwrap_or_else(|| now + Duration::from_secs(u32::MAX.into()));
        if let Some(until) = *self.0.until.borrow() {
            return until;
        }
        self.0.until.send_replace(Some(end));
        end
    }

    /// Holds a permit until the last byte of the response has been sent.
    pub(super) fn hold(&self, permit: OwnedSemaphorePermit) {
        self.lock().permits.push(permit);
    }

    /// Wraps the body of a response. The wrapper records the moment at which hyper has read the whole body.
    pub(super) fn track(&self, response: Response) -> Response {
        response.map(|body| Body::new(TrackedBody { body, _done: BodyDone(self.clone()) }))
    }

    /// Waits until the current request is later than its deadline by more than [`SEND_GRACE`].
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

    /// Ends the current request and releases its permits, if hyper has read the whole response body. The stream calls
    /// this method when the system has taken all bytes that hyper wrote.
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

/// Records that hyper has read the whole response body. hyper drops this value together with the body.
struct BodyDone(Exchange);

impl Drop for BodyDone {
    fn drop(&mut self) {
        self.0.lock().is_body_done = true;
    }
}

/// A response body that records when hyper drops it.
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

/// The stream of a connection, which tracks requests. A request begins when the stream reads bytes. It ends when the
/// stream has sent the whole response.
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

    /// Flushes the stream, and ends the current request if its response is complete. hyper calls this method when it
    /// has written all buffered bytes.
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
