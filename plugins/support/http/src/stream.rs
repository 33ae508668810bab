//! Streamed responses: each chunk is returned as soon as it arrives.
//!
//! A stream succeeds only if the server ends it, either with `[DONE]` or with a complete body whose last chunks end the
//! answer. A lost connection and an error among the chunks are errors. Once the response has begun, the request is not
//! retried. The format of the body is detected from its first bytes, or else from its content type.

use std::collections::VecDeque;

use http::HeaderName;
use mlflow_deploy_plugin_api::{Chunks, Error, ErrorCode, HttpFailure, JSON, Payload, Result};
use serde_json::Value;

use crate::answer_json::{self, BYTE_ORDER_MARK, outline};
use crate::body_kind::BodyKind;
use crate::completion::{ChunkMarks, Completion};
use crate::encoding::accept_identity;
use crate::error_body::truncate;
use crate::predict::empty_answer;
use crate::reported_failure::{failure_error, may_report_failure, reported_failure};
use crate::request::Request;
use crate::response::{content_type, reject_html};
use crate::retry::send_with_retries;
use crate::streaming_response::StreamingResponse;
use crate::whole_body::WholeBody;
use crate::{Client, Event, Policy, SseReader, sse};

/// Removes the frames in which a server sends the parts of a streamed body.
pub trait Unframe: std::fmt::Debug + Send {
    /// Takes received bytes, and returns the bytes of the body that are complete.
    ///
    /// # Errors
    /// Fails if the frames are invalid, or if a frame reports an error.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>>;

    /// Checks the end of the stream.
    ///
    /// # Errors
    /// `TEMPORARILY_UNAVAILABLE` if a frame is incomplete.
    fn finish(&mut self) -> Result<()>;
}

/// The chunks of a streamed response. A chunk is the data of a server-sent event, a line of JSON lines, or a whole JSON
/// answer.
#[derive(Debug)]
pub struct ChunkStream {
    response: StreamingResponse,
    format: Format,
    ready: VecDeque<Payload>,
    /// True once a server-sent event has been received, including `[DONE]`.
    has_events: bool,
    completion: Completion,
    /// The frames of the body, and the header that has the media type of the body inside of them.
    frames: Option<(Box<dyn Unframe>, HeaderName)>,
    /// The result of the stream; `None` until the stream has ended.
    end: Option<Result<()>>,
}

/// The format of a streamed body, with the received bytes that are not parsed yet.
#[derive(Debug)]
enum Format {
    Events(SseReader),
    Lines(Vec<u8>),
    /// The format is not known yet. Contains the first bytes of the body.
    Unknown(Vec<u8>),
    Whole(Vec<u8>),
}

impl ChunkStream {
    /// Sends a request and opens its response as a stream. Retries the request as the policy allows, until a response
    /// begins.
    ///
    /// # Errors
    /// Fails as [`send`](crate::send()) does.
    pub async fn open(client: &Client, request: &Request, policy: &Policy) -> Result<Self> {
        let response =
            send_with_retries(client, request, policy, accept_identity, |response| async { Ok(response) }).await?;
        Ok(Self {
            response,
            format: Format::Unknown(Vec::new()),
            ready: VecDeque::new(),
            has_events: false,
            completion: Completion::default(),
            frames: None,
            end: None,
        })
    }

    /// Returns the stream of the body inside of frames. The header `media_type` of the response has the media type of this
    /// body.
    #[must_use]
    pub fn unframed(self, frames: impl Unframe + 'static, media_type: HeaderName) -> Self {
        Self { frames: Some((Box::new(frames), media_type)), ..self }
    }

    /// Returns the next chunk, or `None` at the end of the stream and after an error.
    ///
    /// # Errors
    /// - `TEMPORARILY_UNAVAILABLE` if the connection is lost.
    /// - `DEADLINE_EXCEEDED` if the server is silent for too long.
    /// - The server's code or `INTERNAL_ERROR` if a chunk reports an error.
    pub async fn next(&mut self) -> Result<Option<Payload>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if let Some(end) = &mut self.end {
                let end = std::mem::replace(end, Ok(()));
                return end.map(|()| None).map_err(|error| error.redacted(&self.response.redactor));
            }
            let result = match self.response.chunk().await {
                Ok(Some(bytes)) => self.receive(&bytes),
                Ok(None) => self.finish(),
                Err(error) => Err(error.into_error(false, "")),
            };
            if let Err(error) = result {
                self.end = Some(Err(error));
            }
        }
    }

    /// Sends all chunks of the stream to `chunks`, which the caller reads.
    ///
    /// # Errors
    /// Fails as [`next`](Self::next) does, possibly after some chunks.
    pub async fn forward(mut self, chunks: &mut Chunks) -> Result<()> {
        while let Some(chunk) = self.next().await? {
            chunks.send(chunk).await?;
        }
        Ok(())
    }

    /// Adds received bytes.
    fn receive(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.frames {
            None => self.push(bytes),
            Some((frames, _)) => {
                let body = frames.push(bytes)?;
                if body.is_empty() { Ok(()) } else { self.push(&body) }
            }
        }
    }

    /// Returns the media type of the body.
    fn body_type(&self) -> &str {
        let header = self.frames.as_ref().and_then(|(_, name)| self.response.inner.headers().get(name));
        match header.and_then(|value| value.to_str().ok()) {
            Some(inner) => inner,
            None if self.frames.is_some() => JSON,
            None => content_type(&self.response.inner),
        }
    }

    /// Adds bytes of the body, and splits them into chunks.
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.format {
            Format::Events(reader) => {
                let events = reader.push(bytes)?;
                self.push_events(events)
            }
            Format::Lines(open) => {
                if open.len() + bytes.len() > sse::MAX_LEN {
                    return Err(Error::internal(format!("the server sent a line of more than {} bytes", sse::MAX_LEN)));
                }
                open.extend_from_slice(bytes);
                let end = open.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
                let rest = open.split_off(end);
                let lines = std::mem::replace(open, rest);
                self.push_lines(&lines)
            }
            Format::Unknown(start) => {
                start.extend_from_slice(bytes);
                let kind = BodyKind::of_start(start);
                match kind {
                    Some(kind) => self.begin(kind),
                    None => {
                        // Blanks at the start have no meaning, and may be sent without end to keep the connection.
                        if !start.starts_with(&BYTE_ORDER_MARK[..1]) {
                            start.drain(..start.len() - start.trim_ascii_start().len());
                        }
                        Ok(())
                    }
                }
            }
            Format::Whole(body) => self.response.append(body, bytes).map_err(|error| error.into_error(false, "")),
        }
    }

    /// Sets the format of the body, and splits the bytes received so far into chunks.
    fn begin(&mut self, kind: BodyKind) -> Result<()> {
        let label = media_type(self.body_type());
        let format = match (kind, label.as_str()) {
            (BodyKind::Events, _) | (BodyKind::Other, "text/event-stream") => Format::Events(SseReader::default()),
            (_, "application/x-ndjson" | "application/jsonl") => Format::Lines(Vec::new()),
            _ => Format::Whole(Vec::new()),
        };
        match std::mem::replace(&mut self.format, format) {
            Format::Unknown(start) => self.push(start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&start)),
            _ => Ok(()),
        }
    }

    /// Parses the remaining bytes after the body has ended regularly.
    fn finish(&mut self) -> Result<()> {
        if let Some((frames, _)) = &mut self.frames {
            frames.finish()?;
        }
        if matches!(self.format, Format::Unknown(_)) {
            self.begin(BodyKind::Other)?;
        }
        if self.end.is_some() {
            return Ok(());
        }
        self.end = Some(Ok(()));
        match &mut self.format {
            Format::Events(reader) => {
                let last = reader.finish()?;
                self.push_events(last)?;
                self.finish_events()
            }
            Format::Lines(rest) => {
                let rest = std::mem::take(rest);
                self.push_lines(&rest)
            }
            Format::Unknown(_) => Err(empty_answer()),
            Format::Whole(body) if body.is_empty() => Err(empty_answer()),
            Format::Whole(body) => {
                let body = std::mem::take(body);
                let payload = Payload::new(self.body_type(), body);
                self.finish_whole(payload)
            }
        }
    }

    fn finish_events(&self) -> Result<()> {
        // If the upstream of a gateway fails, some gateways end the stream regularly without any event.
        if !self.has_events {
            return Err(Error::internal("the server's stream ended without an event"));
        }
        match self.completion.missing() {
            None => Ok(()),
            Some(missing) => {
                let message = format!(
                    "the server's stream was cut: it ended without {missing}; a proxy or the server closed the connection \
                     too early"
                );
                let http = HttpFailure::new(self.response.inner.status().as_u16(), "");
                Err(Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).with_http(http))
            }
        }
    }

    fn finish_whole(&mut self, payload: Payload) -> Result<()> {
        let (status, redactor) = (self.response.inner.status(), self.response.redactor.clone());
        reject_html(status, &payload, &redactor)?;
        match WholeBody::read(payload, status, &redactor)? {
            WholeBody::Answer(answer) if answer.is_json() => {
                self.ready.push_back(answer);
                Ok(())
            }
            WholeBody::Answer(other) => {
                let content_type = other.content_type();
                Err(Error::internal(format!("the server answered with `{content_type}`: expected a stream or JSON")))
            }
            WholeBody::Stream(lines) => self.push_lines(lines.bytes()),
        }
    }

    fn push_events(&mut self, events: impl IntoIterator<Item = Event>) -> Result<()> {
        for event in events {
            self.has_events = true;
            if event.data.trim() == "[DONE]" {
                // Anything after the end is ignored.
                self.completion.end();
                self.end = Some(Ok(()));
                return Ok(());
            }
            if event.name == "error" {
                let error = outline(event.data.as_bytes()).unwrap_or_else(|_text| Value::from(event.data.as_str()));
                return Err(self.failure(reported_failure(&error).unwrap_or(&error), &event.data));
            }
            self.push_json(event.data.into_bytes())?;
        }
        Ok(())
    }

    fn push_lines(&mut self, lines: &[u8]) -> Result<()> {
        answer_json::lines(lines).try_for_each(|line| self.push_json(line.to_vec()))
    }

    /// Adds one JSON text of the stream as a chunk. Fails if the text is not JSON or reports a failure.
    fn push_json(&mut self, mut data: Vec<u8>) -> Result<()> {
        if data.starts_with(BYTE_ORDER_MARK) {
            data.drain(..BYTE_ORDER_MARK.len());
        }
        let not_json = |reason| {
            let shown = truncate(self.response.redactor.hide(&String::from_utf8_lossy(&data)), 80);
            Error::internal(format!("expected JSON in a stream, got `{shown}`: {reason}"))
        };
        let marks = ChunkMarks::read(&data).map_err(not_json)?;
        if may_report_failure(&data) {
            let chunk = outline(&data).map_err(not_json)?;
            if let Some(failure) = reported_failure(&chunk) {
                return Err(self.failure(failure, &String::from_utf8_lossy(&data)));
            }
        }
        self.completion.observe(&marks);
        self.ready.push_back(Payload::new(JSON, data));
        Ok(())
    }

    /// Returns the error for a chunk that reports a failure. `data` is the text of the chunk.
    fn failure(&self, failure: &Value, data: &str) -> Error {
        let what = "the server ended the stream with an error";
        failure_error(what, failure, data, self.response.inner.status(), &self.response.redactor)
    }
}

/// Returns the media type of a `Content-Type` header in lower case, such as `text/event-stream` for `Text/Event-Stream;
/// charset=utf-8`.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
