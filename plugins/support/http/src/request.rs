//! Builds HTTP requests, and marks the secrets in their bodies.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use url::Url;

/// An HTTP request. All attempts to send it share the body instead of copying it.
pub type Request = http::Request<Bytes>;

/// Builds a request from its method, URL, headers and body.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the URL is longer than 64 KiB.
pub fn request(method: Method, url: &Url, headers: HeaderMap, body: impl Into<Bytes>) -> Result<Request> {
    let mut request = Request::new(body.into());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(url.as_str())
        .map_err(|error| Error::invalid_parameter(format!("invalid URL of a request: {error}")))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Marks secrets in the body of a request, so that they are redacted in every error of the request. Secrets in
/// sensitive headers are redacted without a mark.
pub fn hide(request: &mut Request, secrets: impl IntoIterator<Item = Secret>) {
    request.extensions_mut().insert(Hidden(secrets.into_iter().collect()));
}

/// The secrets in the body of a request, which are redacted in its errors.
#[derive(Clone, Debug)]
pub(crate) struct Hidden(pub(crate) Vec<Secret>);
