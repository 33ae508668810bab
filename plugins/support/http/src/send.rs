//! Sends a request and reads the whole response.

use crate::answer_json::BYTE_ORDER_MARK;
use crate::attempt_error::AttemptError;
use crate::encoding::accept_compressed;
use crate::request::Request;
use crate::response::{Response, content_type, reject_html};
use crate::retry::send_with_retries;
use crate::streaming_response::StreamingResponse;
use crate::{Client, Policy};
use mlflow_deploy_plugin_api::{Payload, Result};

/// Sends a request, retries it as the policy allows, and reads the whole response.
///
/// # Errors
/// The server's error, or the failure to reach the server. The documentation of this crate lists the failures that are
/// retried.
pub async fn send(client: &Client, request: &Request, policy: &Policy) -> Result<Response> {
    let response = send_with_retries(client, request, policy, accept_compressed, read).await?;
    reject_html(response.status, &response.payload, &response.redactor)?;
    Ok(response)
}

async fn read(mut response: StreamingResponse) -> Result<Response, AttemptError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        response.append(&mut bytes, &chunk)?;
    }
    let StreamingResponse { inner, redactor, .. } = response;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    let payload = Payload::new(content_type(&inner), bytes);
    Ok(Response { status: inner.status(), headers: inner.headers().clone(), payload, redactor })
}
