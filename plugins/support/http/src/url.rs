//! Joins a base URL and a path, encodes names as path segments, and redacts URLs for messages.

use mlflow_deploy_plugin_api::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// The characters that are encoded in a path segment: all except RFC 3986's unreserved characters and the colon. Model
/// names contain colons, which some servers do not decode.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Percent-encodes a name as one segment of a URL's path, so that it cannot change the rest of the path.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the name is empty, `.` or `..`, which would change the path.
pub fn encode_segment(name: &str) -> Result<String> {
    match name {
        "" => Err(Error::invalid_parameter("the name is empty")),
        "." | ".." => Err(Error::invalid_parameter(format!("`{name}` is not a valid name: it would change the path"))),
        _ => Ok(utf8_percent_encode(name, SEGMENT).to_string()),
    }
}

/// Appends a path to a base URL, with exactly one slash between them.
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    url
}

/// Parses a URL that a user has set. `what` names the URL in the error, and `example` is a valid URL for the error.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the URL is invalid. The error contains no user, password, query or fragment.
pub fn parse_url(what: &str, text: &str, example: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| {
        let shown = redact_text(text);
        Error::invalid_parameter(format!(
            "{what} is `{shown}`, which is not a URL: {error}; expected a URL such as `{example}`"
        ))
    })
}

/// Returns a URL without its user and password, which are sent in a header instead.
pub fn without_user(url: &Url) -> Url {
    let mut base = url.clone();
    if !has_user(url) {
        return base;
    }
    // Both succeed if the URL has a host, and only such a URL has a user or password.
    let _no_host = base.set_username("");
    let _no_host = base.set_password(None);
    base
}

/// Returns true if a URL has a user or a password.
pub(crate) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Percent-decodes the user or the password in a URL.
pub(crate) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Returns the text of a URL for messages, without user, password, query and fragment.
pub fn redact_url(url: &Url) -> String {
    if !has_user(url) && url.query().is_none() && url.fragment().is_none() {
        return url.as_str().to_owned();
    }
    let mut shown = without_user(url);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

/// Removes user, password, query and fragment from a text that is not a valid URL. The password may contain any
/// character.
fn redact_text(text: &str) -> String {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |end| end + "://".len()));
    let rest = rest.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{}", rest.split(['?', '#']).next().unwrap_or_default())
}

/// Returns true if the host in a URL is this machine. The hosts `0.0.0.0` and `::`, which servers print as their own
/// address, are this machine too.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// Returns true if the host in a URL is a link-local address, such as that of a cloud's metadata service. A router does not
/// forward requests to it.
pub(crate) fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_link_local(),
        Some(url::Host::Ipv6(address)) => address.is_unicast_link_local(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_encoded_as_one_segment() {
        for (name, segment) in [
            ("chat", "chat"),
            ("my endpoint/v1", "my%20endpoint%2Fv1"),
            ("a?b#c%20", "a%3Fb%23c%2520"),
            ("チ", "%E3%83%81"),
            ("/etc", "%2Fetc"),
            ("v1.0_x-y~z", "v1.0_x-y~z"),
            ("ft:gpt@x", "ft:gpt%40x"),
        ] {
            assert_eq!(encode_segment(name).unwrap(), segment);
        }
        for name in ["", ".", ".."] {
            assert!(encode_segment(name).is_err(), "{name}");
        }
    }

    #[test]
    fn join_keeps_an_encoded_segment() {
        for (base, url) in [
            ("http://h", "http://h/endpoints/a%2Fb%20c/invocations"),
            ("http://h:80/", "http://h/endpoints/a%2Fb%20c/invocations"),
            ("https://h/pre/fix/", "https://h/pre/fix/endpoints/a%2Fb%20c/invocations"),
        ] {
            let path = format!("/endpoints/{}/invocations", encode_segment("a/b c").unwrap());
            assert_eq!(join(&Url::parse(base).unwrap(), &path).as_str(), url);
        }
    }

    #[test]
    fn a_redacted_url_has_no_secret() {
        let url = Url::parse("http://me:pw@h:81/a?token=t#f").unwrap();
        assert_eq!(redact_url(&url), "http://h:81/a");
        for (text, shown) in [
            ("http://localhost:99999", "http://localhost:99999"),
            ("http://me:p/w?#@w@h:x/a?token=t#f", "http://h:x/a"),
            ("me:pw@h", "h"),
            ("", ""),
        ] {
            assert_eq!(redact_text(text), shown);
        }
        let error = parse_url("`url`", "http://me:pw@h:99999", "http://h").unwrap_err();
        let expected =
            "`url` is `http://h:99999`, which is not a URL: invalid port number; expected a URL such as `http://h`";
        assert_eq!(error.message(), expected);
    }
}
