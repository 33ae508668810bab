//! A scripted HTTP response, which is well-formed or deliberately malformed.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// A response of a [`Server`](crate::server::Server). The methods of this type build it, or
/// [`from_script`](Self::from_script) reads it from a recording.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    status: u16,
    reason: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunks: Option<Vec<Vec<u8>>>,
    delay: Duration,
    chunk_delay: Duration,
    declared_length: Option<u64>,
    no_length: bool,
    abort_after_chunks: bool,
    untyped: bool,
    drop: bool,
}

impl Answer {
    /// Returns a response with this status and body. Its content type is JSON, unless the body is empty or a header
    /// sets another type.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// Returns a response with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::new(status, "")
    }

    /// Returns a response `200 OK` whose body consists of these chunks. Its content type is that of an event stream,
    /// unless a header sets another type.
    pub fn chunks<C: Into<Vec<u8>>>(chunks: impl IntoIterator<Item = C>) -> Self {
        Self { chunks: Some(chunks.into_iter().map(Into::into).collect()), ..Self::status(200) }
    }

    /// Returns a response that sends no bytes and closes the connection.
    pub fn dropped() -> Self {
        Self { drop: true, ..Self::default() }
    }

    /// Reads a response from an entry of a recording's `server_script`. The times in the entry are in seconds. The
    /// default status is 200.
    ///
    /// # Panics
    /// Panics if the `body_b64` of the entry is not Base64.
    pub fn from_script(entry: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seconds = |name: &str| Duration::from_secs_f64(entry[name].as_f64().unwrap_or_default());
        let flag = |name: &str| entry[name].as_bool().unwrap_or_default();
        let body = match &entry["body_b64"] {
            Value::String(encoded) => BASE64_STANDARD.decode(encoded).expect("`body_b64` is Base64"),
            _ => text(&entry["body"]).into_bytes(),
        };
        Self {
            status: entry["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(200),
            reason: entry["reason"].as_str().map(str::to_owned),
            headers: entry["headers"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|each| (text(&each[0]), text(&each[1])))
                .collect(),
            body,
            chunks: entry["chunks"]
                .as_array()
                .map(|chunks| chunks.iter().map(|each| text(each).into_bytes()).collect()),
            delay: seconds("delay"),
            chunk_delay: seconds("chunk_delay"),
            declared_length: entry["declared_length"].as_u64(),
            no_length: flag("no_length"),
            abort_after_chunks: flag("abort_after_chunks"),
            untyped: false,
            drop: flag("drop"),
        }
    }

    /// Sets the reason phrase in the status line. Without this call, it is the usual phrase for the status.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes the server wait for this duration before it sends the response.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Makes the server wait for this duration before each chunk except the first.
    #[must_use]
    pub fn chunk_delay(mut self, delay: Duration) -> Self {
        self.chunk_delay = delay;
        self
    }

    /// Sets a `Content-Length` that differs from the length of the body. The server closes the connection after the
    /// body.
    #[must_use]
    pub fn declared_length(mut self, length: u64) -> Self {
        self.declared_length = Some(length);
        self
    }

    /// Makes the server close the connection after the last chunk, without the final empty chunk.
    #[must_use]
    pub fn abort_after_chunks(mut self) -> Self {
        self.abort_after_chunks = true;
        self
    }

    /// Removes the default content type from the response.
    #[must_use]
    pub fn without_content_type(mut self) -> Self {
        self.untyped = true;
        self
    }

    /// Writes the response to a connection. Returns true if the connection can be used for another request.
    pub(crate) fn write(
        &self,
        mut connection: &TcpStream,
        pause: impl Fn(Duration) -> io::Result<()>,
    ) -> io::Result<bool> {
        pause(self.delay)?;
        if self.drop {
            return Ok(false);
        }
        connection.write_all(self.head().as_bytes())?;
        let Some(chunks) = &self.chunks else {
            connection.write_all(&self.body)?;
            return Ok(self.declared_length.is_none() && !self.no_length);
        };
        for (index, chunk) in chunks.iter().enumerate() {
            if index > 0 {
                pause(self.chunk_delay)?;
            }
            let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
            connection.write_all(&framed)?;
        }
        if !self.abort_after_chunks {
            connection.write_all(b"0\r\n\r\n")?;
        }
        Ok(!self.abort_after_chunks)
    }

    fn head(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_else(|| reason(self.status));
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        let mut header = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        for (name, value) in &self.headers {
            header(name, value);
        }
        let is_typed = self.untyped || self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if self.chunks.is_some() {
            if !is_typed {
                header("Content-Type", "text/event-stream");
            }
            header("Transfer-Encoding", "chunked");
        } else {
            if !is_typed && !self.body.is_empty() {
                header("Content-Type", "application/json");
            }
            if !self.no_length && self.status != 204 {
                let length = self.declared_length.unwrap_or(self.body.len() as u64);
                header("Content-Length", &length.to_string());
            }
        }
        head + "\r\n"
    }
}

/// Returns the usual reason phrase for a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Payload Too Large",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Scripted",
    }
}
