//! The URL of a cluster's dashboard, from the target URI, the option `address` or the environment.

use mlflow_deploy_http::{Environment, parse_url};
use mlflow_deploy_model_uri::redact_uri;
use mlflow_deploy_plugin_api::{Error, Result, TargetUri};
use url::Url;

/// The port of the dashboard, unless the cluster was started with another one.
const PORT: u16 = 8265;

/// A valid URL, for error messages.
pub(crate) const EXAMPLE: &str = "http://localhost:8265";

/// The ports of other servers of a cluster, and their names.
const OTHER_PORTS: [(u16, &str); 3] =
    [(6379, "the cluster's GCS"), (10001, "the Ray Client"), (52365, "the dashboard agent")];

/// Returns the URL of the dashboard: that of the target URI, the option `address`, `RAY_DASHBOARD_ADDRESS`,
/// `RAY_ADDRESS`, or the default of Ray's own tools, in this order. `https` is true if a URI without a scheme uses TLS.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the address is not that of a dashboard. The message names the port 8265.
pub(crate) fn dashboard(
    target: &TargetUri,
    address: Option<&str>,
    https: bool,
    environment: &Environment<'_>,
) -> Result<Url> {
    let suffix = target.suffix();
    match (suffix, address) {
        ("", None) => {}
        ("", Some(address)) => return from_url("the option `address`", address),
        (_, Some(_)) => {
            return Err(Error::invalid_parameter(
                "two clusters are given: omit the option `address`, or use the target `ray` without a host",
            ));
        }
        (suffix, None) => return from_target(suffix, https),
    }
    for variable in ["RAY_DASHBOARD_ADDRESS", "RAY_ADDRESS"] {
        if let Some(address) = environment.text(variable) {
            return from_url(&format!("`{variable}`"), &address);
        }
    }
    from_url("the default address", EXAMPLE)
}

/// Parses the part of a target URI after `ray://`: a host and a port, or a whole URL.
fn from_target(suffix: &str, https: bool) -> Result<Url> {
    const WHAT: &str = "the target URI";
    if suffix.contains("://") {
        return from_url(WHAT, suffix);
    }
    let scheme = if https { "https" } else { "http" };
    let mut url = parse_url(WHAT, &format!("{scheme}://{suffix}"), EXAMPLE)?;
    // A URL drops the default port of its scheme, and a user may have written that one.
    let authority = suffix.split('/').next().unwrap_or_default();
    let has_port = authority.rsplit_once(']').map_or(authority, |(_, after)| after).contains(':');
    if !has_port && url.set_port(Some(PORT)).is_err() {
        return Err(invalid(WHAT, suffix, "it has no host"));
    }
    check(WHAT, url)
}

/// Parses the whole URL of a dashboard. `what` names the text in the error.
fn from_url(what: &str, text: &str) -> Result<Url> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return check(what, parse_url(what, text, EXAMPLE)?);
    }
    let reason = match lower.as_str() {
        "auto" | "local" => "that value is for Python programs on the cluster",
        ray if ray.starts_with("ray://") => "that is the address of the Ray Client",
        _ => "it has no scheme `http` or `https`",
    };
    Err(invalid(what, text, reason))
}

fn check(what: &str, url: Url) -> Result<Url> {
    let fails = |reason: &str| Err(invalid(what, url.as_str(), reason));
    if !url.username().is_empty() || url.password().is_some() {
        return fails("it has a user; set the option `token` or `headers` instead");
    }
    if url.query().is_some() || url.fragment().is_some_and(|page| !page.starts_with('/')) {
        return fails("it has a query or a fragment");
    }
    if let Some((port, server)) = OTHER_PORTS.iter().find(|(port, _)| url.port() == Some(*port)) {
        return fails(&format!("{port} is the port of {server}"));
    }
    // The pages of the dashboard are fragments, such as `#/serve`.
    let mut url = url;
    url.set_fragment(None);
    Ok(url)
}

fn invalid(what: &str, text: &str, reason: &str) -> Error {
    Error::invalid_parameter(format!(
        "{what} is `{}`: {reason}; expected the URL of the cluster's dashboard, which has port {PORT} by default, such as \
         `{EXAMPLE}`",
        redact_uri(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(target: &str, address: Option<&str>, variables: &[(&str, &str)]) -> Result<String> {
        let lookup =
            |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned());
        let target = TargetUri::parse(target).unwrap();
        dashboard(&target, address, false, &Environment::new(&lookup)).map(String::from)
    }

    #[test]
    fn a_target_names_the_dashboard() {
        for (target, expected) in [
            ("ray://head:8265", "http://head:8265/"),
            ("ray-serve://head", "http://head:8265/"),
            ("ray://10.0.0.1:80/ray", "http://10.0.0.1/ray"),
            ("ray://[::1]", "http://[::1]:8265/"),
            ("ray:https://head/ray", "https://head/ray"),
            ("ray://http://head:8265/#/serve", "http://head:8265/"),
            ("ray", "http://localhost:8265/"),
        ] {
            assert_eq!(url(target, None, &[]).unwrap(), expected, "{target}");
        }
        let target = TargetUri::parse("ray://head").unwrap();
        let secure = dashboard(&target, None, true, &Environment::new(&|_| None)).unwrap();
        assert_eq!(secure.as_str(), "https://head:8265/");
    }

    #[test]
    fn the_option_precedes_the_variables() {
        let variables = [("RAY_ADDRESS", "http://c:8265"), ("RAY_DASHBOARD_ADDRESS", "http://b:8265")];
        assert_eq!(url("ray", Some("http://a:8265"), &variables).unwrap(), "http://a:8265/");
        assert_eq!(url("ray", None, &variables).unwrap(), "http://b:8265/");
        assert_eq!(url("ray", None, &variables[..1]).unwrap(), "http://c:8265/");
        assert_eq!(url("ray", None, &[("RAY_ADDRESS", " ")]).unwrap(), "http://localhost:8265/");
        let error = url("ray://a", Some("http://b:8265"), &[]).unwrap_err();
        assert!(error.message().starts_with("two clusters are given"), "{error}");
    }

    #[test]
    fn addresses_of_other_servers_are_errors_that_name_the_port() {
        for (wrong, reason) in [
            ("auto", "for Python programs"),
            ("local", "for Python programs"),
            ("ray://head:10001", "the Ray Client"),
            ("127.0.0.1:6379", "it has no scheme"),
            ("head:8265", "it has no scheme"),
            ("http://head:6379", "6379 is the port of the cluster's GCS"),
            ("http://u:s3cret@head:8265", "it has a user"),
            ("http://head:8265?token=s3cret", "it has a query"),
            ("ray://u:s3cret@head:10001", "the Ray Client"),
        ] {
            for result in [url("ray", Some(wrong), &[]), url("ray", None, &[("RAY_ADDRESS", wrong)])] {
                let message = result.unwrap_err().message().to_owned();
                assert!(message.contains(reason) && message.contains("port 8265"), "{message}");
                assert!(!message.contains("s3cret"), "{message}");
            }
        }
        for target in ["ray://head:10001", "ray://head:6379", "ray://u:s3cret@head", "ray://ray://head:10001"] {
            let message = url(target, None, &[]).unwrap_err().message().to_owned();
            assert!(message.contains("port 8265") && !message.contains("s3cret"), "{message}");
        }
    }
}
