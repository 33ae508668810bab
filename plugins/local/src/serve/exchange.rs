//! One connection's request and answer, from the first byte of the one to the last byte of the other: until when they may
//! take, and the places and the memory that they hold.
//!
//! hyper ends a request where its answer's head is made. What an answer costs ends where the system has taken its last
//! byte, which only the stream sees.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

/// How much longer than its request an answer may take to be sent: the answer to one that took too long is one, too.
const SENDING: Duration = Duration::from_secs(1);

/// The exchange of a connection. Clones share it.
#[derive(Clone)]
pub(super) struct Exchange(Arc<Shared>);

struct Shared {
    /// How long a request may take, with its answer.
    limit: Duration,
    /// When that is over, of the request that is there.
    until: watch::Sender<Option<Instant>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Vec<OwnedSemaphorePermit>,
    /// Whether hyper has taken all of the answer.
    is_taken: bool,
}

impl Exchange {
    pub(super) fn new(limit: Duration) -> Self {
        Self(Arc::new(Shared { limit, until: watch::Sender::new(None), state: Mutex::default() }))
    }

    /// Notes that there is a request, where there was none; gives when its time is up.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        let end = now.checked_add(self.0.limit).unwrap_or_else(|| now + Duration::from_secs(u32::MAX.into()));
        if let Some(until) = *self.0.until.borrow() {
            return until;
        }
        self.0.until.send_replace(Some(end));
        end
    }

    /// Holds a place, or memory, until the answer has been sent.
    pub(super) fn hold(&self, permit: OwnedSemaphorePermit) {
        self.lock().held.push(permit);
    }

    /// Has the end of an answer's body noted.
    pub(super) fn watched(&self, answer: Response) -> Response {
        answer.map(|body| Body::new(Watched { body, _taken: Taken(self.clone()) }))
    }

    /// Returns once a request has taken longer than it may.
    pub(super) async fn expired(&self) {
        let mut changes = self.0.until.subscribe();
        loop {
            let until = *changes.borrow_and_update();
            let is_over = async {
                match until.and_then(|until| until.checked_add(SENDING)) {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = is_over => return,
                // The sender is here.
                _changed = changes.changed() => {}
            }
        }
    }

    /// The system has taken all that hyper had to send.
    fn flushed(&self) {
        let mut state = self.lock();
        if state.is_taken {
            *state = State::default();
            self.0.until.send_replace(None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes, when it is dropped, that hyper needs the body no more.
struct Taken(Exchange);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.lock().is_taken = true;
    }
}

/// The body of an answer.
struct Watched {
    body: Body,
    _taken: Taken,
}

impl HttpBody for Watched {
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

/// A connection's stream.
pub(super) struct Stream {
    pub(super) stream: TcpStream,
    pub(super) exchange: Exchange,
}

impl AsyncRead for Stream {
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

impl AsyncWrite for Stream {
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

    /// hyper comes here once it has written all that it keeps.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.exchange.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
