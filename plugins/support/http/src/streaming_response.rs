//! A response whose body has not been read yet. The body is decompressed as its `Content-Encoding` header says, and
//! every size limit applies to the decompressed bytes.

use std::io::ErrorKind;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::Body;
use http_body_util::BodyExt;
use mlflow_deploy_plugin_api::{ErrorCode, Redactor};

use crate::Policy;
use crate::attempt_error::{AttemptError, ErrorResponse, Stage};
use crate::encoding::{DecodeError, Decoder, codings};
use crate::timeouts::Timeouts;

/// The maximum number of bytes that are read from the body of an error response.
pub(crate) const MAX_ERROR_BODY: usize = 64 * 1024;

/// A response whose status and headers have arrived, but whose body has not been read yet.
#[derive(Debug)]
pub(crate) struct StreamingResponse {
    pub(crate) inner: http::Response<reqwest::Body>,
    /// The URL of the request, without secrets.
    pub(crate) url: String,
    /// The redactor that removes the secrets of the request from errors.
    pub(crate) redactor: Redactor,
    max_bytes: usize,
    /// The number of bytes in earlier responses of the same operation, which count towards the size limit.
    used_bytes: usize,
    timeouts: Timeouts,
    encoding: Encoding,
}

/// The content encoding of a response's body.
#[derive(Debug)]
enum Encoding {
    Identity,
    Known(Decoder),
    Unknown(String),
}

impl StreamingResponse {
    pub(crate) fn new(
        mut inner: http::Response<reqwest::Body>,
        url: String,
        policy: &Policy,
        redactor: &Redactor,
        timeouts: &Timeouts,
    ) -> Self {
        let (max_bytes, used_bytes) = (policy.max_response_bytes, policy.used_bytes);
        let encoding = match codings(inner.headers()) {
            Ok(codings) => Decoder::new(&codings).map_or(Encoding::Identity, Encoding::Known),
            Err(name) => Encoding::Unknown(name),
        };
        if matches!(encoding, Encoding::Known(_)) {
            // These headers describe the encoded body.
            inner.headers_mut().remove(CONTENT_ENCODING);
            inner.headers_mut().remove(CONTENT_LENGTH);
        }
        Self { inner, url, redactor: redactor.clone(), max_bytes, used_bytes, timeouts: timeouts.clone(), encoding }
    }

    /// Returns the next part of the decompressed body, or `None` at its end. Fails if the connection is lost or the
    /// part cannot be decompressed.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, AttemptError> {
        loop {
            if let Encoding::Known(decoder) = &self.encoding {
                // Decoding does not wait. This line gives other tasks and a cancellation their turn.
                tokio::task::coop::consume_budget().await;
                if let Some(part) = decoder.next().map_err(|error| self.undecodable(error))? {
                    return Ok(Some(part));
                }
            }
            let received = self.received().await?;
            match (&mut self.encoding, received) {
                (Encoding::Identity, received) => return Ok(received),
                (_, None) => return self.last_part(),
                (Encoding::Known(decoder), Some(chunk)) => decoder.push(chunk),
                (Encoding::Unknown(name), Some(_)) => {
                    let message = format!(
                        "the response from `{}` has the `Content-Encoding` `{name}`, which is not supported: expected \
                         none, or `gzip`, `deflate`, `br` or `zstd`",
                        self.url
                    );
                    return Err(AttemptError::new(Stage::Final, ErrorCode::INTERNAL_ERROR, message));
                }
            }
        }
    }

    /// Returns true if the body is decompressed, so that its length is not that of the bytes that the server sent.
    pub(crate) fn is_decoded(&self) -> bool {
        matches!(self.encoding, Encoding::Known(_))
    }

    /// Returns the number of bytes of the body that have not been received yet. Returns `None` if the server has not
    /// announced it, or if the body is compressed.
    pub(crate) fn announced(&self) -> Option<u64> {
        if self.is_decoded() { None } else { self.inner.body().size_hint().exact() }
    }

    /// Returns the next part of the body as the server sent it, before decompression; `None` at the end of the body.
    async fn received(&mut self) -> Result<Option<Bytes>, AttemptError> {
        loop {
            let Some(frame) = self.timeouts.wait_for(self.inner.body_mut().frame(), &self.url).await? else {
                return Ok(None);
            };
            // Trailers are skipped.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// Returns the part of the decompressed body that the decoder still holds after the last received byte.
    fn last_part(&mut self) -> Result<Option<Bytes>, AttemptError> {
        let Encoding::Known(decoder) = &mut self.encoding else { return Ok(None) };
        decoder.finish();
        decoder.next().map_err(|error| self.undecodable(error))
    }

    fn undecodable(&self, failure: DecodeError) -> AttemptError {
        let DecodeError { name, error } = failure;
        let (stage, code, reason) = match error.kind() {
            ErrorKind::UnexpectedEof => {
                (Stage::Unanswered, ErrorCode::TEMPORARILY_UNAVAILABLE, "it ends too early".to_owned())
            }
            _ => (Stage::Final, ErrorCode::INTERNAL_ERROR, error.to_string()),
        };
        let message =
            format!("the response from `{}` is not valid `{name}`, its `Content-Encoding`: {reason}", self.url);
        AttemptError::new(stage, code, message).with_cause(error)
    }

    /// Appends a part of the response to `body` in memory. Fails if the response exceeds the size limit, because a
    /// server may send endless data.
    pub(crate) fn append(&self, body: &mut Vec<u8>, part: &[u8]) -> Result<(), AttemptError> {
        let announced = self.announced().and_then(|rest| usize::try_from(rest).ok()).unwrap_or_default();
        let length = (self.used_bytes + body.len() + part.len()).saturating_add(announced);
        if length > self.max_bytes {
            let subject = match self.used_bytes {
                0 => format!("the response from `{}` is too large", self.url),
                _ => format!("the pages of the list at `{}` are too large together", self.url),
            };
            let message = format!(
                "{subject}: {length} bytes or more, but the limit is {}; request less at once, and check the URL",
                self.max_bytes
            );
            return Err(AttemptError::new(Stage::Final, ErrorCode::INTERNAL_ERROR, message));
        }
        body.extend_from_slice(part);
        Ok(())
    }

    /// Reads the body of an error response, and returns the error.
    pub(crate) async fn into_error(mut self) -> AttemptError {
        let mut body = Vec::new();
        // The status counts even if the rest of the body never arrives.
        while let Ok(Some(chunk)) = self.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= MAX_ERROR_BODY {
                break;
            }
        }
        let body = String::from_utf8_lossy(&body);
        AttemptError::from_response(&ErrorResponse {
            status: self.inner.status(),
            headers: self.inner.headers(),
            body: &body,
            url: &self.url,
            redactor: &self.redactor,
        })
    }
}
