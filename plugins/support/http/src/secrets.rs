//! Collects the secrets in a request, which are redacted because servers and proxies may repeat them in their
//! responses. The secrets are the credentials, and the encoded forms in which the HTTP library sends them.

use std::sync::Mutex;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::{HeaderName, HeaderValue};
use mlflow_deploy_plugin_api::{Redactor, Secret, sync};
use url::Url;

use crate::connect::{Proxies, proxy_url};
use crate::request::Request;
use crate::url::{decode, has_user};

/// Finds the secrets in the requests of a client.
#[derive(Debug)]
pub(crate) struct RequestSecrets {
    /// The secrets in the URLs of the proxies.
    of_proxies: Vec<Secret>,
    /// The redactor of the last request that had no secrets outside of its headers. Most requests of a client have the
    /// same credentials.
    last: Mutex<Option<(Vec<SensitiveHeader>, Redactor)>>,
}

type SensitiveHeader = (HeaderName, HeaderValue);

impl RequestSecrets {
    pub(crate) fn new(proxies: &Proxies) -> Self {
        let of_proxies = [&proxies.http, &proxies.https].into_iter().flatten().flat_map(|proxy| of_proxy(&proxy.url));
        Self { of_proxies: of_proxies.map(Secret::new).collect(), last: Mutex::default() }
    }

    /// Returns a redactor that removes the secrets of a request: the values of its sensitive headers, the marked
    /// secrets of its body, and the credentials in its URL and in the proxies' URLs.
    pub(crate) fn redactor(&self, request: &Request) -> Redactor {
        let sensitive = || request.headers().iter().filter(|(_, value)| value.is_sensitive());
        if !request.hidden.is_empty() || has_user(request.url()) {
            let others = of_url(request.url()).into_iter().map(Secret::new).chain(request.hidden.iter().cloned());
            return self.with(sensitive(), others);
        }
        let mut last = sync::lock(&self.last);
        if let Some((headers, redactor)) = &*last
            && sensitive().eq(headers.iter().map(|(name, value)| (name, value)))
        {
            return redactor.clone();
        }
        let redactor = self.with(sensitive(), []);
        let headers = sensitive().map(|(name, value)| (name.clone(), value.clone()));
        *last = Some((headers.collect(), redactor.clone()));
        redactor
    }

    /// Returns a redactor that removes the secrets of the proxies, of these headers, and `others`.
    fn with<'a>(
        &self,
        headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
        others: impl IntoIterator<Item = Secret>,
    ) -> Redactor {
        let in_headers = headers.flat_map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            let has_scheme = name == AUTHORIZATION || name == PROXY_AUTHORIZATION;
            if has_scheme { of_credentials(&value) } else { with_parts(&value) }
        });
        Redactor::new(in_headers.map(Secret::new).chain(others).chain(self.of_proxies.iter().cloned()))
    }
}

/// Returns the credentials in the URL of a proxy, in all forms in which they are sent.
fn of_proxy(proxy: &Secret) -> Vec<String> {
    proxy_url(proxy).iter().flat_map(of_url).collect()
}

/// Returns the secrets in a URL: the password as written and decoded, and the encoded user and password of Basic
/// authentication. Returns the user if there is no password.
fn of_url(url: &Url) -> Vec<String> {
    let (user, password) = (decode(url.username()), url.password());
    match password {
        Some(password) => {
            let sent = BASE64_STANDARD.encode(format!("{user}:{}", decode(password)));
            vec![sent, password.to_owned(), decode(password)]
        }
        None => vec![user],
    }
}

/// Returns the secrets in the value of an `Authorization` header: everything after the scheme, and the decoded password
/// of Basic authentication. Of a request that is signed for AWS, this is only the signature.
fn of_credentials(value: &str) -> Vec<String> {
    let Some((scheme, secret)) = value.split_once(' ') else { return with_parts(value) };
    if scheme.starts_with("AWS4-") {
        // The other parts are the names of headers, which messages may contain.
        return secret.split_once("Signature=").map(|(_, signature)| signature.to_owned()).into_iter().collect();
    }
    let mut secrets = with_parts(secret.trim());
    if scheme.eq_ignore_ascii_case("basic")
        && let Ok(decoded) = BASE64_STANDARD.decode(secret.trim())
    {
        let both = String::from_utf8_lossy(&decoded);
        secrets.extend(both.split_once(':').map(|(_username, password)| password.to_owned()));
    }
    secrets
}

/// Returns the value of a header and its parts, because a server may repeat one part of a value such as `Cookie:
/// session=…; theme=…`.
fn with_parts(value: &str) -> Vec<String> {
    let parts = value.split([' ', ';', '=']).filter(|part| *part != value);
    [value].into_iter().chain(parts).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use http::{HeaderMap, Method};

    use super::*;
    use crate::{hide, request};

    fn get(url: &str, headers: HeaderMap) -> Request {
        request(Method::GET, &Url::parse(url).unwrap(), headers, "").unwrap()
    }

    /// Returns a request that has this header, marked as sensitive.
    fn with_header(name: &'static str, value: &str) -> Request {
        let mut value = HeaderValue::from_str(value).unwrap();
        value.set_sensitive(true);
        get("http://h", HeaderMap::from_iter([(HeaderName::try_from(name).unwrap(), value)]))
    }

    fn redactor(request: &Request) -> Redactor {
        RequestSecrets::new(&Proxies::default()).redactor(request)
    }

    fn of_header(name: &'static str, value: &str) -> Redactor {
        redactor(&with_header(name, value))
    }

    #[test]
    fn every_request_of_a_client_has_the_redactor_of_its_own_secrets() {
        let secrets = RequestSecrets::new(&Proxies::default());
        let mut in_body = with_header("X-Key", "first-key");
        hide(&mut in_body, [Secret::new("in-the-body")]);
        for (request, hidden) in [
            (with_header("X-Key", "first-key"), "first-key"),
            (with_header("X-Key", "first-key"), "first-key"),
            (with_header("X-Key", "second-key"), "second-key"),
            (with_header("Authorization", "Basic second-key"), "second-key"),
            (in_body, "in-the-body"),
            (get("http://a:b%2Ffourth-key@h", HeaderMap::new()), "b/fourth-key"),
            (with_header("X-Key", "first-key"), "first-key"),
        ] {
            for key in ["first-key", "second-key", "in-the-body", "b/fourth-key"] {
                let is_hidden = secrets.redactor(&request).hide(key) != key;
                assert!(is_hidden || key != hidden, "{key} of {request:?}");
            }
        }
        let of_second = secrets.redactor(&with_header("X-Key", "second-key"));
        assert_eq!(of_second.hide("first-key second-key"), "first-key <redacted>");
    }

    #[test]
    fn the_encoded_password_of_basic_credentials_is_redacted() {
        // The value decodes to `bob:hunter2:hunter3`.
        let redactor = of_header("Authorization", "Basic Ym9iOmh1bnRlcjI6aHVudGVyMw==");
        assert_eq!(redactor.hide("refused: bob:hunter2:hunter3"), "refused: bob:<redacted>");
        assert_eq!(redactor.hide("refused: Basic Ym9iOmh1bnRlcjI6aHVudGVyMw=="), "refused: Basic <redacted>");
    }

    #[test]
    fn sensitive_headers_and_their_parts_are_redacted() {
        const AWS4: &str = "AWS4-HMAC-SHA256 Credential=AKID/20150830/r/s/aws4_request, \
                            SignedHeaders=host;x-amz-date, Signature=0123456789abcdef";
        for (name, value, message, shown) in [
            ("Cookie", "session=s3cret-1; theme=dark", "no s3cret-1", "no <redacted>"),
            ("Cookie", "session=s3cret-1; theme=dark", "no session=s3cret-1; theme=dark", "no <redacted>"),
            ("X-Key", "first-half second-half", "first-half?", "<redacted>?"),
            ("X-Key", "first-half second-half", "second-half?", "<redacted>?"),
            ("X-Key", "first-half second-half", "first-half second-half?", "<redacted>?"),
            ("Authorization", "Bearer dapi0123", "Bearer dapi0123", "Bearer <redacted>"),
            ("Authorization", "dapi0123", "dapi0123", "<redacted>"),
            ("Authorization", AWS4, "x-amz-date, 0123456789abcdef", "x-amz-date, <redacted>"),
        ] {
            assert_eq!(of_header(name, value).hide(message), shown, "{name}: {value}");
        }
        let cookie = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("session=public-1"))]);
        let plain = redactor(&get("http://h", cookie));
        assert_eq!(plain.hide("public-1"), "public-1");
    }

    #[test]
    fn the_credentials_in_a_url_are_redacted_in_every_encoding() {
        let request = redactor(&get("http://alice:p%40ssW0rd99@h/p", HeaderMap::new()));
        let request_hides = |text: &str| request.hide(text) == "<redacted>";
        for text in ["p%40ssW0rd99", "p@ssW0rd99", "YWxpY2U6cEBzc1cwcmQ5OQ==", "YWxpY2U6cEBzc1cwcmQ5OQ"] {
            assert!(request_hides(text), "{text}");
        }
        for url in ["http://alice:p%40ssW0rd99@127.0.0.1:1", "alice:p%40ssW0rd99@127.0.0.1:1"] {
            let secrets = of_proxy(&Secret::new(url)).into_iter().map(Secret::new);
            let redactor = Redactor::new(secrets);
            assert_eq!(redactor.hide("no: p@ssW0rd99"), "no: <redacted>", "{url}");
            let sent = redactor.hide("YWxpY2U6cEBzc1cwcmQ5OQ==");
            assert!(!sent.contains("cEBzc1cw"), "{url}: {sent}");
        }
    }
}
