//! The work that every subject does, and the cost of that work.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::machine;

/// The number of chunks in a streamed answer.
pub(crate) const CHUNKS: usize = 100_000;
/// The number of bytes in a large request and in its answer.
pub(crate) const LARGE: usize = 64 << 20;
/// The number of requests that are in flight at the same time.
const IN_FLIGHT: usize = 64;
/// The time for which small requests are sent in one round.
pub(crate) const ROUND: Duration = Duration::from_millis(1500);

/// A kind of work. Its name in the Python programs is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Sends small requests, one after the other.
    One,
    /// Keeps [`IN_FLIGHT`] small requests in flight.
    Many,
    /// Reads a streamed answer of [`CHUNKS`] chunks, and parses the JSON of every chunk.
    Stream,
    /// Sends [`LARGE`] bytes, and receives as many.
    Large,
}

impl Work {
    pub(crate) const ALL: [Self; 4] = [Self::One, Self::Many, Self::Stream, Self::Large];

    /// Returns the name of the work in command lines and in the JSON report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Many => "many",
            Self::Stream => "stream",
            Self::Large => "large",
        }
    }

    /// Returns the title of the work in the printed report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::One => "predict, one at a time: a call",
            Self::Many => "predict, 64 in flight: a call",
            Self::Stream => "stream with its JSON parsed: a chunk",
            Self::Large => "predict with 64 MB there and back",
        }
    }

    /// Returns the body of the request, which is a chat.
    pub(crate) fn request(self) -> Bytes {
        match self {
            Self::Large => Self::chat(&"x".repeat(LARGE), 100, false),
            Self::Stream => Self::chat("Tell me about MLflow.", CHUNKS, true),
            Self::One | Self::Many => Self::chat("What is MLflow? Answer in one sentence.", 100, false),
        }
    }

    /// Returns the body of a chat's request. The server streams as many chunks as there are tokens.
    pub(crate) fn chat(content: &str, tokens: usize, is_stream: bool) -> Bytes {
        let stream = if is_stream { r#","stream":true"# } else { "" };
        format!(r#"{{"messages":[{{"role":"user","content":"{content}"}}],"max_tokens":{tokens}{stream}}}"#).into()
    }

    /// Does the work with a subject, after a first call that opens the connection. Returns the cost of one call or of
    /// one chunk.
    pub(crate) async fn measure(self, subject: &impl Subject) -> Cost {
        subject.predict(Self::One.request()).await;
        let request = self.request();
        let (begun, used) = (Instant::now(), machine::cpu_time().of_process);
        let count = match self {
            Self::One => repeat(subject, &request).await,
            Self::Many => join_all((0..IN_FLIGHT).map(|_| repeat(subject, &request))).await.into_iter().sum(),
            Self::Stream => subject.stream(request).await,
            Self::Large => {
                subject.predict(request).await;
                1
            }
        };
        let (wall, used) = (begun.elapsed().as_secs_f64(), machine::cpu_time().of_process - used);
        let each = |seconds: f64| seconds * 1e6 / count as f64;
        Cost { wall: each(wall), cpu: each(used), memory: machine::peak_memory() }
    }
}

/// A program or a library that sends requests to a server.
pub(crate) trait Subject {
    /// Sends a request, and receives the whole answer.
    async fn predict(&self, request: Bytes);

    /// Sends a request whose answer is streamed. Returns the number of chunks.
    async fn stream(&self, request: Bytes) -> usize;
}

/// The cost of one call or of one chunk.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Cost {
    /// The time from start to end, in microseconds.
    pub(crate) wall: f64,
    /// The CPU time of the process, in microseconds.
    pub(crate) cpu: f64,
    /// The maximum memory of the process, in MiB.
    pub(crate) memory: Option<f64>,
}

/// Repeats a small request for the time of a round. Returns the number of calls.
async fn repeat(subject: &impl Subject, request: &Bytes) -> usize {
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < ROUND {
        subject.predict(request.clone()).await;
        count += 1;
    }
    count
}
