//! The address of a server, from the target URI. The scheme selects plain HTTP or TLS, and the default port.

use mlflow_deploy_http::parse_url;
use mlflow_deploy_plugin_api::{Error, Result, TargetUri};
use url::Url;

/// A valid target URI for error messages.
const EXAMPLE: &str = "v2://localhost:8080";

/// Returns the base URL of the server. Removes a path that begins with `/v2`, because users copy URLs with such paths
/// from examples.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the target URI has no host, or more than a host, a port and a path.
pub(crate) fn base(target: &TargetUri) -> Result<Url> {
    let (kind, transport) = target.scheme().split_once('+').unwrap_or((target.scheme(), "http"));
    let rest = target.as_str().split_once(':').map_or("", |(_, rest)| rest);
    let Some(address) = rest.strip_prefix("//").filter(|address| !address.is_empty()) else {
        return Err(Error::invalid_parameter(format!(
            "the target URI `{target}` has no host: expected `{}://HOST[:PORT]`, such as `{EXAMPLE}`",
            target.scheme()
        )));
    };
    let mut url = parse_url("the server of the target URI", &format!("{transport}://{address}"), EXAMPLE)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid_parameter(
            "the target URI contains a user name or password: set the options `username` and `password` instead",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::invalid_parameter(
            "the target URI has a query or a fragment: expected only a host and a path",
        ));
    }
    let port = match kind {
        "mlserver" => Some(8080),
        "triton" => Some(8000),
        _ => None,
    };
    if transport == "http" && url.port().is_none() && !has_port(address) {
        // A URL of `http` has a host, so its port can be set.
        let _has_host = port.map(|port| url.set_port(Some(port)));
    }
    let path = url.path().trim_end_matches('/');
    if let Some(end) = path.find("/v2/").or_else(|| path.strip_suffix("/v2").map(str::len)) {
        let base = path[..end].to_owned();
        url.set_path(&base);
    }
    Ok(url)
}

/// Returns true if an address has a port, which the parser of URLs removes if it is the default of `http`.
fn has_port(address: &str) -> bool {
    let host = address.split('/').next().unwrap_or_default();
    host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_selects_the_transport_and_the_default_port() {
        for (target, expected) in [
            ("v2://h:9000", "http://h:9000/"),
            ("v2://h", "http://h/"),
            ("v2+http://h:1/p/", "http://h:1/p/"),
            ("v2+https://h", "https://h/"),
            ("V2+HTTPS://h:8443", "https://h:8443/"),
            ("mlserver://h", "http://h:8080/"),
            ("mlserver+https://h", "https://h/"),
            ("triton://h", "http://h:8000/"),
            ("triton://h:80", "http://h/"),
            ("triton://[::1]", "http://[::1]:8000/"),
            ("triton+http://h/prefix", "http://h:8000/prefix"),
        ] {
            assert_eq!(base(&TargetUri::parse(target).unwrap()).unwrap().as_str(), expected, "{target}");
        }
    }

    #[test]
    fn the_route_of_an_example_is_removed() {
        for (target, expected) in [
            ("v2://h/v2", "http://h/"),
            ("v2://h/v2/", "http://h/"),
            ("v2://h/v2/models/iris/infer", "http://h/"),
            ("v2://h/seldon/ns/iris/v2/models", "http://h/seldon/ns/iris"),
            ("v2://h/v22", "http://h/v22"),
        ] {
            assert_eq!(base(&TargetUri::parse(target).unwrap()).unwrap().as_str(), expected, "{target}");
        }
    }

    #[test]
    fn an_address_without_a_host_or_with_more_than_an_address_is_an_error() {
        for (target, message) in [
            ("v2", "has no host: expected `v2://HOST[:PORT]`, such as `v2://localhost:8080`"),
            ("triton:/h", "has no host"),
            ("v2://", "has no host"),
            ("v2://h:99999", "which is not a URL: invalid port number"),
            ("v2://me:s3cret@h", "contains a user name or password: set the options"),
            ("v2://h/?token=s3cret", "has a query or a fragment"),
        ] {
            let error = base(&TargetUri::parse(target).unwrap()).unwrap_err();
            assert!(error.message().contains(message) && !error.message().contains("s3cret"), "{error}");
        }
    }
}
