//! URLs: how a target's base and a path become one, how a name becomes one segment of it, and how one is shown.

use mlflow_deploy_plugin_api::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// Everything but the characters that RFC 3986 leaves unreserved, and the colon, which names of models have and which
/// some servers do not know again when it is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A name as one segment of a path, so that it can reach nothing but what it names.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where it is empty, `.` or `..`: these name another path, and so nothing here.
pub fn encode_segment(name: &str) -> Result<String> {
    match name {
        "" => Err(Error::invalid_parameter("the name is empty")),
        "." | ".." => Err(Error::invalid_parameter(format!("`{name}` is not a name: it would change the path"))),
        _ => Ok(utf8_percent_encode(name, SEGMENT).to_string()),
    }
}

/// A path below a base URL. The base's own path is kept, whether or not it ends in a slash.
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    url
}

/// Reads a URL that a user gave. `what` tells which one it is, and `example` what it could be.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where it is none. Of what was given, the error has what may be printed.
pub fn parse_url(what: &str, text: &str, example: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| {
        let shown = redact_text(text);
        Error::invalid_parameter(format!(
            "{what} is `{shown}`, which is not a URL: {error}; expected such as `{example}`"
        ))
    })
}

/// A URL without user and password, which go in a header.
pub fn without_user(url: &Url) -> Url {
    let mut base = url.clone();
    // Neither can fail for a URL that has a host, and one without has neither user nor password.
    let _no_host = base.set_username("");
    let _no_host = base.set_password(None);
    base
}

/// The user or password of a URL, without its percent-encoding.
pub(crate) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A URL as it may be printed: without user, password, query and fragment.
pub fn redact_url(url: &Url) -> String {
    let mut shown = without_user(url);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

/// The same of what should have been a URL, and has none of its parts for certain. A password may have any character.
fn redact_text(text: &str) -> String {
    let (scheme, rest) = text.split_at(text.find("://").map_or(0, |end| end + "://".len()));
    let rest = rest.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{}", rest.split(['?', '#']).next().unwrap_or_default())
}

/// Whether the host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
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
    fn an_encoded_segment_survives_the_join() {
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
    fn what_is_printed_has_no_secret() {
        let url = Url::parse("http://me:pw@h:81/a?token=t#f").unwrap();
        assert_eq!(redact_url(&url), "http://h:81/a");
        for (given, shown) in [
            ("http://localhost:99999", "http://localhost:99999"),
            ("http://me:p/w?#@w@h:x/a?token=t#f", "http://h:x/a"),
            ("me:pw@h", "h"),
            ("", ""),
        ] {
            assert_eq!(redact_text(given), shown);
        }
        let error = parse_url("`url`", "http://me:pw@h:99999", "http://h").unwrap_err();
        let expected =
            "`url` is `http://h:99999`, which is not a URL: invalid port number; expected such as `http://h`";
        assert_eq!(error.message(), expected);
    }
}
