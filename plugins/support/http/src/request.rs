//! An HTTP request, and the secrets in its body.

use bytes::Bytes;
use http::{HeaderMap, Method};
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use url::Url;

/// The maximum length of a URL, in bytes, which the HTTP library accepts.
const MAX_URL: usize = u16::MAX as usize - 1;

/// An HTTP request. All attempts to send it share the body instead of copying it.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    /// The secrets in the body, which are redacted in the errors of the request.
    pub(crate) hidden: Vec<Secret>,
}

impl Request {
    /// Returns the method of the request.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the URL of the request.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the headers of the request, which can be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Returns the body of the request, which is empty if it has none.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Builds a request from its method, URL, headers and body.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the URL is longer than 64 KiB.
pub fn request(method: Method, url: &Url, headers: HeaderMap, body: impl Into<Bytes>) -> Result<Request> {
    let length = url.as_str().len();
    if length > MAX_URL {
        return Err(Error::invalid_parameter(format!(
            "invalid URL of a request: it has {length} bytes, expected at most {MAX_URL}"
        )));
    }
    Ok(Request { method, url: url.clone(), headers, body: body.into(), hidden: Vec::new() })
}

/// Marks secrets in the body of a request, so that they are redacted in every error of the request. Secrets in
/// sensitive headers are redacted without a mark.
pub fn hide(request: &mut Request, secrets: impl IntoIterator<Item = Secret>) {
    request.hidden.extend(secrets);
}
