//! A response whose body is still to be read.

use bytes::Bytes;
use mlflow_deploy_plugin_api::{ErrorCode, Redactor};

use crate::Policy;
use crate::attempt_error::{AttemptError, ErrorResponse, Stage};
use crate::timeouts::Timeouts;

/// The limit for reading the body of an error, in bytes.
pub(crate) const MAX_ERROR_BODY: usize = 64 * 1024;

/// A response whose body is still to be read.
#[derive(Debug)]
pub(crate) struct StreamingResponse {
    pub(crate) inner: reqwest::Response,
    /// The URL without secrets.
    pub(crate) url: String,
    /// Removes the secrets of the request from errors.
    pub(crate) redactor: Redactor,
    max_bytes: usize,
    /// The bytes of earlier responses of the operation, which count too.
    used_bytes: usize,
    timeouts: Timeouts,
}

impl StreamingResponse {
    pub(crate) fn new(
        inner: reqwest::Response,
        url: String,
        policy: &Policy,
        redactor: &Redactor,
        timeouts: &Timeouts,
    ) -> Self {
        let (max_bytes, used_bytes) = (policy.max_response_bytes, policy.used_bytes);
        Self { inner, url, redactor: redactor.clone(), max_bytes, used_bytes, timeouts: timeouts.clone() }
    }

    /// Returns the next part of the body, or `None` at its end. Fails if the connection is lost.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, AttemptError> {
        self.timeouts.wait_for(self.inner.chunk(), &self.url).await
    }

    /// Appends a part to a body in memory. Fails if the body exceeds the limit, because a server may send without end.
    pub(crate) fn append(&self, body: &mut Vec<u8>, part: &[u8]) -> Result<(), AttemptError> {
        let announced = self.inner.content_length().and_then(|rest| usize::try_from(rest).ok()).unwrap_or_default();
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

    /// Reads the body of an error response.
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
