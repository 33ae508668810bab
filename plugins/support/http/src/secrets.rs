//! Collects the secrets in a request, which are redacted because servers and proxies may repeat them in their
//! responses. The secrets are the credentials, and the encoded forms in which the HTTP library sends them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use mlflow_deploy_plugin_api::{Redactor, Secret};
use url::Url;

use crate::connect::{Proxies, proxy_url};
use crate::request::{Hidden, Request};
use crate::url::decode;

/// Returns a redactor that removes the secrets of a request: the values of its sensitive headers, the marked secrets of
/// its body, and the credentials in its URL and in the proxies' URLs.
pub(crate) fn redactor(request: &Request, proxies: &Proxies) -> Redactor {
    let sensitive = request.headers().iter().filter(|(_, value)| value.is_sensitive());
    let in_headers = sensitive.flat_map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == AUTHORIZATION || name == PROXY_AUTHORIZATION { of_credentials(&value) } else { with_parts(&value) }
    });
    let in_body = request.extensions().get::<Hidden>().into_iter().flat_map(|hidden| &hidden.0);
    let in_url = Url::parse(&request.uri().to_string()).ok();
    let of_proxies = [&proxies.http, &proxies.https].into_iter().flatten().flat_map(|proxy| of_proxy(&proxy.url));
    let texts = in_headers.chain(in_url.iter().flat_map(of_url)).chain(of_proxies);
    Redactor::new(texts.map(Secret::new).chain(in_body.cloned()))
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
/// of Basic authentication.
fn of_credentials(value: &str) -> Vec<String> {
    let Some((scheme, secret)) = value.split_once(' ') else { return with_parts(value) };
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
    use http::HeaderValue;

    use super::*;

    fn of_request(request: http::request::Builder) -> Redactor {
        redactor(&request.body(bytes::Bytes::new()).unwrap(), &Proxies::default())
    }

    /// Returns the redactor of a request that has this header, marked as sensitive.
    fn of_header(name: &str, value: &str) -> Redactor {
        let mut value = HeaderValue::from_str(value).unwrap();
        value.set_sensitive(true);
        of_request(http::Request::builder().header(name, value))
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
        for (name, value, message, shown) in [
            ("Cookie", "session=s3cret-1; theme=dark", "no s3cret-1", "no <redacted>"),
            ("Cookie", "session=s3cret-1; theme=dark", "no session=s3cret-1; theme=dark", "no <redacted>"),
            ("X-Key", "first-half second-half", "first-half?", "<redacted>?"),
            ("X-Key", "first-half second-half", "second-half?", "<redacted>?"),
            ("X-Key", "first-half second-half", "first-half second-half?", "<redacted>?"),
            ("Authorization", "Bearer dapi0123", "Bearer dapi0123", "Bearer <redacted>"),
            ("Authorization", "dapi0123", "dapi0123", "<redacted>"),
        ] {
            assert_eq!(of_header(name, value).hide(message), shown, "{name}: {value}");
        }
        let plain = of_request(http::Request::builder().header("Cookie", "session=public-1"));
        assert_eq!(plain.hide("public-1"), "public-1");
    }

    #[test]
    fn the_credentials_in_a_url_are_redacted_in_every_encoding() {
        let request = of_request(http::Request::get("http://alice:p%40ssW0rd99@h/p"));
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
