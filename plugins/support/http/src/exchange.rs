//! Exchanges one request and its response for a library that has a protocol of its own, such as the client of an object
//! store. Any final status is returned, and the body is read part by part.
//!
//! Never follows a redirect, because the library may have signed the URL.

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode};
use mlflow_deploy_plugin_api::{Error, Result};

use crate::encoding::accept_identity;
use crate::retry::send_accepting;
use crate::streaming_response::StreamingResponse;
use crate::{Client, Policy, Request};

/// A response whose status and headers have arrived, but whose body has not been read yet.
#[derive(Debug)]
pub struct Exchange(StreamingResponse);

/// Sends a request, and retries it as the policy allows. Returns the response with any status that the policy does not
/// retry, such as 404. The body is requested without compression.
///
/// # Errors
/// Fails as [`send`](crate::send()) does if no response arrives, or if the last attempt ends with a status that the policy
/// retries.
pub async fn exchange(client: &Client, request: &Request, policy: &Policy) -> Result<Exchange> {
    let accepts = |status: StatusCode| !policy.retry_codes.contains(&status.as_u16());
    send_accepting(client, request, policy, accepts, accept_identity, |response| async { Ok(Exchange(response)) }).await
}

impl Exchange {
    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.inner.status()
    }

    /// Returns the headers of the response.
    pub fn headers(&self) -> &HeaderMap {
        self.0.inner.headers()
    }

    /// Reads the body as that of an error response, and returns the error with the server's message.
    pub async fn into_error(self) -> Error {
        let redactor = self.0.redactor.clone();
        self.0.into_error().await.into_error(false, "").redacted(&redactor)
    }

    /// Returns the parts of the body as they arrive. The stream ends with an error if the connection is lost, if a time
    /// limit passes, or after `max_bytes` bytes. The error of a lost connection is retryable.
    pub fn into_body(self, max_bytes: u64) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        stream::try_unfold((self.0, max_bytes), |(mut response, rest)| async move {
            match response.chunk().await {
                Ok(None) => Ok(None),
                Ok(Some(part)) => match rest.checked_sub(part.len() as u64) {
                    Some(rest) => Ok(Some((part, (response, rest)))),
                    None => Err(Error::internal(format!("the response from `{}` is too large", response.url))),
                },
                Err(error) => {
                    let is_retryable = error.is_retryable();
                    Err(error.into_error(is_retryable, "").redacted(&response.redactor))
                }
            }
        })
    }
}
