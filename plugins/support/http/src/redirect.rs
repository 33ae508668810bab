//! Where a redirect may lead: a GET, to the same origin. Anything else is an error that says where it led to.
//!
//! A request carries credentials and a user's data. Sent on to another host they would be given away, and a POST that
//! is turned into a GET, as browsers do it, asks something else.

use http::{HeaderMap, Method, StatusCode};
use mlflow_deploy_plugin_api::{ErrorCode, HttpFailure};
use url::Url;

use crate::Policy;
use crate::address::redact_url;
use crate::fault::{Fault, Stage};

/// No chain of redirects is longer.
pub(crate) const MAX_HOPS: usize = 10;

/// Where a redirect leads, where it may be followed.
pub(crate) fn target(
    status: StatusCode,
    headers: &HeaderMap,
    method: &Method,
    url: &Url,
    policy: &Policy,
) -> Result<Url, Fault> {
    let location = headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(target) = location.and_then(|location| url.join(location).ok()) else {
        return Err(refuse(status, url, "without saying where to"));
    };
    let shown = redact_url(&target);
    let has_left = target.origin() != url.origin();
    if has_left {
        return Err(refuse(status, url, &format!("to another origin, `{shown}`: use that address if you trust it")));
    }
    if method != Method::GET {
        return Err(refuse(status, url, &format!("to `{shown}`, and a {method} is not sent on: use that address")));
    }
    if !policy.follow_redirects {
        return Err(refuse(status, url, &format!("to `{shown}`, and redirects are turned off")));
    }
    Ok(target)
}

/// A chain of redirects that does not end.
pub(crate) fn too_long(status: StatusCode, url: &Url) -> Fault {
    refuse(status, url, &format!("for more than {MAX_HOPS} times"))
}

fn refuse(status: StatusCode, url: &Url, why: &str) -> Fault {
    let message = format!("{} Redirect for url: {}: the server redirects {why}", status.as_u16(), redact_url(url));
    Fault::new(Stage::Settled, ErrorCode::BAD_REQUEST, message).with_http(HttpFailure::new(status.as_u16(), ""))
}
