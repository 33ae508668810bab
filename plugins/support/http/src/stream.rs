//! Answers that come in parts: each part is handed on as soon as it is there.
//!
//! A stream ends well only where the server ended it: with `[DONE]`, or with the end of a body that is complete. A
//! connection that breaks and an error among the parts are errors. Once the answer has begun nothing is sent again.

use std::collections::VecDeque;

use http::StatusCode;
use mlflow_deploy_plugin_api::{Chunks, Error, ErrorCode, HttpFailure, JSON, Payload, Result};
use serde_json::Value;

use crate::exchange::{Opened, exchange};
use crate::fault::code_of;
use crate::send::{Request, content_type, refuse_page};
use crate::words::{Words, cut, keep};
use crate::{Client, Event, Policy, SseReader, sse};

/// Sends a request and hands out the answer part by part: an event stream by its events' data, lines of JSON
/// (`application/x-ndjson`) by line, anything else as one chunk.
///
/// # Errors
/// As for [`send`](crate::send()); also after some chunks.
pub async fn stream(client: &Client, request: &Request, policy: &Policy, chunks: &mut Chunks) -> Result<()> {
    let mut stream = ChunkStream::open(client, request, policy).await?;
    while let Some(chunk) = stream.next().await? {
        chunks.send(chunk).await?;
    }
    Ok(())
}

/// An answer that is under way.
#[derive(Debug)]
pub struct ChunkStream {
    opened: Opened,
    format: Format,
    ready: VecDeque<Payload>,
    /// Whether the server has said anything, be it only that it is done.
    has_spoken: bool,
    /// How it ended, where it has.
    end: Option<Result<()>>,
}

/// How a body is cut into chunks.
#[derive(Debug)]
enum Format {
    Events(SseReader),
    Lines(Vec<u8>),
    Whole(Vec<u8>),
}

impl ChunkStream {
    /// Sends a request, again where the policy allows it, until a server begins to answer.
    ///
    /// # Errors
    /// As for [`send`](crate::send()).
    pub async fn open(client: &Client, request: &Request, policy: &Policy) -> Result<Self> {
        let opened = exchange(client, request, policy, |_| {}, |opened| async { Ok(opened) }).await?;
        let format = match media_type(content_type(&opened.response)).as_str() {
            "text/event-stream" => Format::Events(SseReader::default()),
            "application/x-ndjson" | "application/jsonl" => Format::Lines(Vec::new()),
            _ => Format::Whole(Vec::new()),
        };
        Ok(Self { opened, format, ready: VecDeque::new(), has_spoken: false, end: None })
    }

    /// The next chunk; none at the end, and none after an error.
    ///
    /// # Errors
    /// Where the connection breaks, the server stays silent for too long, or says that something failed.
    pub async fn next(&mut self) -> Result<Option<Payload>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if let Some(end) = &mut self.end {
                let end = std::mem::replace(end, Ok(()));
                return end.map(|()| None).map_err(|error| error.redacted(&self.opened.redactor));
            }
            let taken = match self.opened.chunk().await {
                Ok(Some(bytes)) => self.take(&bytes),
                Ok(None) => self.finish(),
                Err(fault) => Err(fault.into_error(false, "")),
            };
            if let Err(error) = taken {
                self.end = Some(Err(error));
            }
        }
    }

    /// Cuts what has come into chunks.
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.format {
            Format::Events(reader) => {
                let events = reader.push(bytes)?;
                self.take_events(events)
            }
            Format::Lines(open) => {
                if open.len() + bytes.len() > sse::MAX_LEN {
                    return Err(Error::internal(format!("the server sent a line of more than {} bytes", sse::MAX_LEN)));
                }
                open.extend_from_slice(bytes);
                let end = open.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
                let rest = open.split_off(end);
                let lines = std::mem::replace(open, rest);
                self.take_lines(&lines)
            }
            Format::Whole(body) => self.opened.hold(body, bytes).map_err(|fault| fault.into_error(false, "")),
        }
    }

    /// Takes what is left when the body has ended in order.
    fn finish(&mut self) -> Result<()> {
        self.end = Some(Ok(()));
        match &mut self.format {
            Format::Events(reader) => {
                let last = reader.finish()?;
                self.take_events(last)?;
                // A gateway whose upstream fails in an odd way ends its stream in order, before it has begun.
                if self.has_spoken {
                    Ok(())
                } else {
                    Err(Error::internal("the server's stream ended without an event"))
                }
            }
            Format::Lines(rest) => {
                let rest = std::mem::take(rest);
                self.take_lines(&rest)
            }
            Format::Whole(body) if body.is_empty() => Ok(()),
            Format::Whole(body) => {
                let payload = Payload::new(content_type(&self.opened.response), std::mem::take(body));
                refuse_page(self.opened.response.status(), &payload, &self.opened.redactor)?;
                self.ready.push_back(payload);
                Ok(())
            }
        }
    }

    fn take_events(&mut self, events: impl IntoIterator<Item = Event>) -> Result<()> {
        for event in events {
            self.has_spoken = true;
            if event.data.trim() == "[DONE]" {
                // What follows the end is not for anyone.
                self.end = Some(Ok(()));
                return Ok(());
            }
            self.take_json(&event.data, event.name == "error")?;
        }
        Ok(())
    }

    fn take_lines(&mut self, lines: &[u8]) -> Result<()> {
        let lines = lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty()) {
            self.take_json(&String::from_utf8_lossy(line), false)?;
        }
        Ok(())
    }

    /// Hands on one text of JSON, unless it says that something failed.
    fn take_json(&mut self, data: &str, is_error: bool) -> Result<()> {
        let value = serde_json::from_str::<Value>(data);
        let failure = value.as_ref().ok().and_then(failure);
        if is_error || failure.is_some() {
            return Err(self.failed(data, failure));
        }
        if let Err(error) = value {
            let shown = cut(self.opened.redactor.hide(data), 80);
            return Err(Error::internal(format!("expected JSON in a stream, got `{shown}`: {error}")));
        }
        self.ready.push_back(Payload::new(JSON, data));
        Ok(())
    }

    /// What an error among the chunks says. Its code is the status that it names, as a number or before a colon.
    fn failed(&self, data: &str, failure: Option<&Value>) -> Error {
        let redactor = &self.opened.redactor;
        let words = match failure {
            Some(failure) => Words::read(&failure.to_string(), redactor),
            None => Words::read(data, redactor),
        };
        let message = words.message.unwrap_or_else(|| "it gave no reason".to_owned());
        let named = failure.and_then(|failure| u16::try_from(failure["error"]["code"].as_u64()?).ok());
        let status = named.or_else(|| message.split_once(':')?.0.parse().ok());
        let code = match status.map(StatusCode::from_u16) {
            Some(Ok(status)) if status.is_client_error() || status.is_server_error() => code_of(status),
            _ => ErrorCode::INTERNAL_ERROR,
        };
        let http = HttpFailure::new(self.opened.response.status().as_u16(), keep(data, redactor));
        let error = Error::new(code, format!("the server broke the stream off: {message}")).with_http(http);
        match words.error_code {
            Some(own) => error.with_detail("error_code", own),
            None => error,
        }
    }
}

/// The part of an event that says that something failed: `{"error":…}`, or what OpenAI's responses say of themselves.
fn failure(event: &Value) -> Option<&Value> {
    match event["type"].as_str() {
        Some("error") => Some(event),
        Some("response.failed") => Some(&event["response"]),
        _ => event.get("error").is_some_and(|error| !error.is_null()).then_some(event),
    }
}

/// `text/event-stream` of `Text/Event-Stream; charset=utf-8`.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
