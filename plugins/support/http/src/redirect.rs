//! Follows redirects within one origin. A GET follows all of them. Every other method follows only 307 and 308, which
//! keep the method and the body. Any other redirect is an error that contains the target of the redirect.
//!
//! A request contains credentials and a user's data, which another origin must not receive. Without credentials, the
//! other origin would usually answer with a login page or a 401, which says less than the target of the redirect.
//! Browsers turn a POST into a GET after 301, 302 and 303, but this would be a different request.

use http::{HeaderMap, Method, StatusCode};
use mlflow_deploy_plugin_api::{ErrorCode, HttpFailure};
use url::Url;

use crate::Policy;
use crate::attempt_error::{AttemptError, Stage};
use crate::url::redact_url;

/// The maximum number of redirects that one attempt follows.
pub(crate) const MAX_HOPS: usize = 10;

/// Returns the URL to which a response redirects, or an error if the redirect must not be followed.
pub(crate) fn target(
    status: StatusCode,
    headers: &HeaderMap,
    method: &Method,
    url: &Url,
    policy: &Policy,
) -> Result<Url, AttemptError> {
    let location = headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(target) = location.and_then(|location| url.join(location).ok()) else {
        return Err(rejected(status, url, "without a valid location"));
    };
    let shown = redact_url(&target);
    let has_left = target.origin() != url.origin();
    if has_left {
        return Err(rejected(status, url, &format!("to another origin, `{shown}`: use that URL if you trust it")));
    }
    let keeps_method = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if method != Method::GET && !keeps_method {
        let reason = format!("to `{shown}`, but only 307 and 308 repeat a {method}: use that URL");
        return Err(rejected(status, url, &reason));
    }
    if !policy.follow_redirects {
        return Err(rejected(status, url, &format!("to `{shown}`, but redirects are turned off")));
    }
    Ok(target)
}

/// Returns the error of an attempt that was redirected too often.
pub(crate) fn too_long(status: StatusCode, url: &Url) -> AttemptError {
    rejected(status, url, &format!("more than {MAX_HOPS} times"))
}

fn rejected(status: StatusCode, url: &Url, reason: &str) -> AttemptError {
    let message = format!("{} Redirect for url: {}: the server redirects {reason}", status.as_u16(), redact_url(url));
    AttemptError::new(Stage::Final, ErrorCode::BAD_REQUEST, message).with_http(HttpFailure::new(status.as_u16(), ""))
}
