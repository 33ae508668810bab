//! Sends a request and reads the whole answer. This is the one way to a server that is not streamed.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode, Uri};
use mlflow_deploy_plugin_api::{Error, HttpFailure, JSON, Payload, Redactor, Result, Secret};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::exchange::{MAX_REFUSAL, Opened, exchange};
use crate::fault::Fault;
use crate::words::{Words, is_html, keep};
use crate::{Client, Policy};

/// What is sent. The body is shared between attempts, not copied.
pub type Request = http::Request<Bytes>;

/// A request to send.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where the URL is longer than 64 KiB.
pub fn request(method: Method, url: &Url, headers: HeaderMap, body: impl Into<Bytes>) -> Result<Request> {
    let mut request = Request::new(body.into());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(url.as_str())
        .map_err(|error| Error::invalid_parameter(format!("a request cannot be sent to this URL: {error}")))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Keeps these out of every error of the request, whatever the server repeats: for secrets that are in its body. Those
/// in its headers are kept out by themselves.
pub fn hide(request: &mut Request, secrets: impl IntoIterator<Item = Secret>) {
    request.extensions_mut().insert(Hidden(secrets.into_iter().collect()));
}

/// The secrets in the body of a request.
#[derive(Clone, Debug)]
pub(crate) struct Hidden(pub(crate) Vec<Secret>);

/// A whole answer with a status of success.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status, 200 to 299.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub payload: Payload,
    /// What no error may repeat.
    redactor: Redactor,
}

impl Response {
    /// Reads the body as JSON. `expected` names what it should be, such as `a list of endpoints`.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if it is something else. The error has the place, and no value of the server's.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self, expected: &str) -> Result<T> {
        serde_json::from_slice(self.payload.bytes()).map_err(|error| self.unexpected(expected, &words_of_json(&error)))
    }

    /// Reads a part of the body; see [`parse`](Self::parse).
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_part<'a, T: Deserialize<'a>>(&self, part: &'a RawValue, expected: &str) -> Result<T> {
        serde_json::from_str(part.get()).map_err(|error| self.unexpected(expected, &words_of_json(&error)))
    }

    /// Returns the error for a body that is not what was expected, and why it is not; see [`parse`](Self::parse).
    pub fn unexpected(&self, expected: &str, why: &str) -> Error {
        let message = format!("the server did not answer with {expected}: {why}; check the URL");
        Error::internal(message).redacted(&self.redactor)
    }
}

/// What serde says of JSON, without the value that it may quote.
fn words_of_json(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.rfind(", expected ") {
        // `invalid type: string "…", expected a sequence at line 1 column 9`: the string may have any text in it.
        Some(expected) if error.is_data() => {
            let kind = said[..expected].split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("{kind}{}", &said[expected..])
        }
        _ => said,
    }
}

/// Sends a request, again where the policy allows it, and reads the answer.
///
/// # Errors
/// What the server answered or what kept it from answering; see the crate's documentation for what is tried again.
pub async fn send(client: &Client, request: &Request, policy: &Policy) -> Result<Response> {
    let response = exchange(client, request, policy, |_| {}, read).await?;
    refuse_page(response.status, &response.payload, &response.redactor)?;
    Ok(response)
}

async fn read(mut opened: Opened) -> Result<Response, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = opened.chunk().await? {
        opened.hold(&mut bytes, &chunk)?;
    }
    let response = opened.response;
    let payload = Payload::new(content_type(&response), bytes);
    Ok(Response { status: response.status(), headers: response.headers().clone(), payload, redactor: opened.redactor })
}

/// The media type of an answer; one without is taken for JSON, which is what these servers speak.
pub(crate) fn content_type(response: &reqwest::Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or(JSON)
}

/// Refuses a web page, which proxies and login forms answer with a status of success.
pub(crate) fn refuse_page(status: StatusCode, payload: &Payload, redactor: &Redactor) -> Result<()> {
    // The start is enough to know a page and to find its title.
    let start = String::from_utf8_lossy(&payload.bytes()[..payload.bytes().len().min(MAX_REFUSAL)]);
    if is_html(&start) {
        let page = Words::read(&start, redactor).message.unwrap_or_default();
        let http = HttpFailure::new(status.as_u16(), keep(&start, redactor));
        return Err(Error::internal(format!("the server answered with {page}")).with_http(http));
    }
    Ok(())
}
