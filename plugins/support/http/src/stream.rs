//! Streamed responses: each chunk is returned as soon as it arrives.
//!
//! A stream succeeds only if the server ends it: with `[DONE]`, or with a complete body. A lost connection and an error
//! among the chunks are errors. Once the response has begun, the request is not retried.

use std::collections::VecDeque;

use http::StatusCode;
use mlflow_deploy_plugin_api::{Chunks, Error, ErrorCode, HttpFailure, JSON, Payload, Result};
use serde_json::Value;

use crate::attempt_error::code_of;
use crate::encoding::accept_identity;
use crate::error_body::{ErrorBody, excerpt, truncate};
use crate::request::Request;
use crate::response::{content_type, reject_html};
use crate::retry::send_with_retries;
use crate::streaming_response::StreamingResponse;
use crate::{Client, Event, Policy, SseReader, sse};

/// The chunks of a response: the data of each event of an event stream, each line of JSON lines
/// (`application/x-ndjson`), or any other body as one chunk.
#[derive(Debug)]
pub struct ChunkStream {
    response: StreamingResponse,
    format: Format,
    ready: VecDeque<Payload>,
    /// True after the first event, including `[DONE]`.
    has_events: bool,
    /// The result of the stream once it has ended.
    end: Option<Result<()>>,
}

/// The format of a body.
#[derive(Debug)]
enum Format {
    Events(SseReader),
    Lines(Vec<u8>),
    Whole(Vec<u8>),
}

impl ChunkStream {
    /// Sends a request, and retries it as the policy allows, until a response begins.
    ///
    /// # Errors
    /// As for [`send`](crate::send()).
    pub async fn open(client: &Client, request: &Request, policy: &Policy) -> Result<Self> {
        let response =
            send_with_retries(client, request, policy, accept_identity, |response| async { Ok(response) }).await?;
        let format = match media_type(content_type(&response.inner)).as_str() {
            "text/event-stream" => Format::Events(SseReader::default()),
            "application/x-ndjson" | "application/jsonl" => Format::Lines(Vec::new()),
            _ => Format::Whole(Vec::new()),
        };
        Ok(Self { response, format, ready: VecDeque::new(), has_events: false, end: None })
    }

    /// Returns the next chunk, or `None` at the end and after an error.
    ///
    /// # Errors
    /// `TEMPORARILY_UNAVAILABLE` if the connection is lost, `DEADLINE_EXCEEDED` if the server is silent for too long,
    /// the server's code or `INTERNAL_ERROR` if a chunk is an error.
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
                Ok(Some(bytes)) => self.push(&bytes),
                Ok(None) => self.finish(),
                Err(error) => Err(error.into_error(false, "")),
            };
            if let Err(error) = result {
                self.end = Some(Err(error));
            }
        }
    }

    /// Sends all chunks to the caller.
    ///
    /// # Errors
    /// As for [`next`](Self::next), also after some chunks.
    pub async fn forward(mut self, chunks: &mut Chunks) -> Result<()> {
        while let Some(chunk) = self.next().await? {
            chunks.send(chunk).await?;
        }
        Ok(())
    }

    /// Splits received bytes into chunks.
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
            Format::Whole(body) => self.response.append(body, bytes).map_err(|error| error.into_error(false, "")),
        }
    }

    /// Handles the rest after the body has ended regularly.
    fn finish(&mut self) -> Result<()> {
        self.end = Some(Ok(()));
        match &mut self.format {
            Format::Events(reader) => {
                let last = reader.finish()?;
                self.push_events(last)?;
                // If the upstream of a gateway fails, some gateways end the stream regularly without any event.
                if self.has_events {
                    Ok(())
                } else {
                    Err(Error::internal("the server's stream ended without an event"))
                }
            }
            Format::Lines(rest) => {
                let rest = std::mem::take(rest);
                self.push_lines(&rest)
            }
            Format::Whole(body) if body.is_empty() => Ok(()),
            Format::Whole(body) => {
                let payload = Payload::new(content_type(&self.response.inner), std::mem::take(body));
                reject_html(self.response.inner.status(), &payload, &self.response.redactor)?;
                self.ready.push_back(payload);
                Ok(())
            }
        }
    }

    fn push_events(&mut self, events: impl IntoIterator<Item = Event>) -> Result<()> {
        for event in events {
            self.has_events = true;
            if event.data.trim() == "[DONE]" {
                // Anything after the end is ignored.
                self.end = Some(Ok(()));
                return Ok(());
            }
            self.push_json(&event.data, event.name == "error")?;
        }
        Ok(())
    }

    fn push_lines(&mut self, lines: &[u8]) -> Result<()> {
        let lines = lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty()) {
            self.push_json(&String::from_utf8_lossy(line), false)?;
        }
        Ok(())
    }

    /// Adds one JSON text as a chunk, or returns its error if it reports one.
    fn push_json(&mut self, data: &str, is_error: bool) -> Result<()> {
        let value = serde_json::from_str::<Value>(data);
        let failure = value.as_ref().ok().and_then(failure);
        if is_error || failure.is_some() {
            return Err(self.error_in(data, failure));
        }
        if let Err(error) = value {
            let shown = truncate(self.response.redactor.hide(data), 80);
            return Err(Error::internal(format!("expected JSON in a stream, got `{shown}`: {error}")));
        }
        self.ready.push_back(Payload::new(JSON, data));
        Ok(())
    }

    /// Returns the error that a chunk reports. The code is that of the status in it, a number or the text before a
    /// colon.
    fn error_in(&self, data: &str, failure: Option<&Value>) -> Error {
        let redactor = &self.response.redactor;
        let body = match failure {
            Some(failure) => ErrorBody::read(&failure.to_string(), redactor),
            None => ErrorBody::read(data, redactor),
        };
        let message = body.message.unwrap_or_else(|| "no reason given".to_owned());
        let named = failure.and_then(|failure| u16::try_from(failure["error"]["code"].as_u64()?).ok());
        let status = named.or_else(|| message.split_once(':')?.0.parse().ok());
        let code = match status.map(StatusCode::from_u16) {
            Some(Ok(status)) if status.is_client_error() || status.is_server_error() => code_of(status),
            _ => ErrorCode::INTERNAL_ERROR,
        };
        let http = HttpFailure::new(self.response.inner.status().as_u16(), excerpt(data, redactor));
        let error = Error::new(code, format!("the server ended the stream with an error: {message}")).with_http(http);
        match body.error_code {
            Some(own) => error.with_detail("error_code", own),
            None => error,
        }
    }
}

/// Returns the part of an event that reports an error: `{"error":…}`, or OpenAI's `error` and `response.failed` events.
fn failure(event: &Value) -> Option<&Value> {
    match event["type"].as_str() {
        Some("error") => Some(event),
        Some("response.failed") => Some(&event["response"]),
        _ => event.get("error").is_some_and(|error| !error.is_null()).then_some(event),
    }
}

/// Returns `text/event-stream` for `Text/Event-Stream; charset=utf-8`.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
