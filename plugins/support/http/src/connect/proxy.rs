//! The address, the protocol and the credentials of a proxy, as an environment variable sets them.

use std::net::SocketAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use url::{Host, Url};

use crate::url::decode;

/// The URL of a proxy, and the name of the environment variable that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxySetting {
    /// The name of the environment variable, such as `HTTPS_PROXY`.
    pub(crate) variable: String,
    /// The URL of the proxy, which may contain a password.
    pub(crate) url: Secret,
}

/// A proxy, as parsed from its URL.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) protocol: Protocol,
    /// The host and the port of the proxy, such as `proxy:8080`.
    pub(crate) address: String,
    /// The URL of the proxy, with its port, user and password.
    pub(crate) url: Secret,
    /// The user and the password for the proxy, percent-decoded.
    pub(crate) credentials: Option<(String, Secret)>,
    /// The description of the proxy in messages, such as `` `http://proxy:8080` of `HTTPS_PROXY` ``.
    pub(crate) shown: String,
}

/// The protocol between a client and a proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Protocol {
    Http,
    /// HTTP over TLS.
    Https,
    Socks5 {
        /// True if this machine resolves the server's name. False if the proxy resolves it (`socks5h`).
        local_dns: bool,
    },
}

impl Proxy {
    /// Parses the URL of a proxy. The error contains only the scheme of the URL, because every other part may contain
    /// the password.
    pub(crate) fn parse(setting: &ProxySetting) -> Result<Self> {
        let ProxySetting { variable, url } = setting;
        let invalid = || {
            Error::invalid_parameter(format!(
                "`{variable}` is not the URL of a proxy: expected an `http`, `https`, `socks5` or `socks5h` URL such as \
                 `http://user:password@host:8080`; in the password, write `%2F` for `/`, `%23` for `#`, `%3F` for `?`, \
                 `%40` for `@` and `%5C` for `\\`"
            ))
        };
        let url = proxy_url(url).ok_or_else(invalid)?;
        let (protocol, port) = match url.scheme() {
            "http" => (Protocol::Http, 80),
            "https" => (Protocol::Https, 443),
            "socks5" => (Protocol::Socks5 { local_dns: true }, 1080),
            "socks5h" => (Protocol::Socks5 { local_dns: false }, 1080),
            other => {
                return Err(Error::invalid_parameter(format!(
                    "`{variable}` has the scheme `{other}`, which is not a proxy scheme: expected `http`, `https`, \
                     `socks5` or `socks5h`, such as `socks5h://host:1080`"
                )));
            }
        };
        // An unescaped `/`, `#` or `?` in a password ends the host early, so that the `@` is in the rest of the URL.
        let rest = [Some(url.path()), url.query(), url.fragment()];
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(invalid)?;
        if rest.into_iter().flatten().any(|part| part.contains('@')) {
            return Err(invalid());
        }
        let authority = format!("{host}:{}", url.port().unwrap_or(port));
        let credentials = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decode(url.username()), Secret::new(decode(url.password().unwrap_or_default()))));
        let mut with_port = url.clone();
        // Setting the port succeeds if the URL has a host.
        with_port.set_port(Some(url.port().unwrap_or(port))).map_err(|()| invalid())?;
        Ok(Self {
            protocol,
            shown: format!("`{}://{authority}` of `{variable}`", url.scheme()),
            address: authority,
            url: Secret::new(with_port),
            credentials,
        })
    }

    /// Returns the URL of the proxy for the HTTP library, which looks up even an address if the scheme is `socks5`.
    pub(crate) fn url_for(&self, server: &Url) -> String {
        let url = self.url.expose();
        match (url.strip_prefix("socks5://"), server.host()) {
            (Some(rest), Some(Host::Ipv4(_) | Host::Ipv6(_))) => format!("socks5h://{rest}"),
            _ => url.to_owned(),
        }
    }

    /// Returns true if the proxy's host is a name, which has to be resolved.
    pub(crate) fn has_name(&self) -> bool {
        self.address.parse::<SocketAddr>().is_err()
    }

    /// Returns the value of the `Proxy-Authorization` header, marked as sensitive. Returns `None` without credentials.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials.as_ref()?;
        let encoded = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
        let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Parses the URL of a proxy. The scheme is optional, and `http` by default. Returns `None` if the URL is invalid.
pub(crate) fn proxy_url(proxy: &Secret) -> Option<Url> {
    let text = proxy.expose();
    if text.contains("://") { Url::parse(text).ok() } else { Url::parse(&format!("http://{text}")).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Proxy> {
        Proxy::parse(&ProxySetting { variable: "ALL_PROXY".to_owned(), url: Secret::new(url) })
    }

    #[test]
    fn every_scheme_has_its_protocol_and_port() {
        for (url, protocol, address) in [
            ("proxy.test:3128", Protocol::Http, "proxy.test:3128"),
            ("http://proxy.test", Protocol::Http, "proxy.test:80"),
            ("https://proxy.test/", Protocol::Https, "proxy.test:443"),
            ("socks5://proxy.test", Protocol::Socks5 { local_dns: true }, "proxy.test:1080"),
            ("SOCKS5H://[::1]:9050", Protocol::Socks5 { local_dns: false }, "[::1]:9050"),
        ] {
            let proxy = parse(url).unwrap();
            assert_eq!((proxy.protocol, proxy.address.as_str()), (protocol, address), "{url}");
        }
    }

    #[test]
    fn an_unknown_scheme_is_named_with_its_variable() {
        for (url, scheme) in [("socks://127.0.0.1:1/", "socks"), ("sock5://h:1", "sock5"), ("ftp://h", "ftp")] {
            let message = parse(url).unwrap_err().message().to_owned();
            assert!(message.starts_with(&format!("`ALL_PROXY` has the scheme `{scheme}`")), "{message}");
        }
    }

    #[test]
    fn a_password_that_ends_the_host_early_is_rejected_and_not_shown() {
        for url in [
            "http://me:p@ssw0rd#1@127.0.0.1:8080",
            "http://me:p@ssw0rd/1@127.0.0.1:8080",
            "socks5://me:p@ssw0rd?1@127.0.0.1:8080",
            "http://",
            "socks5://",
        ] {
            let message = parse(url).unwrap_err().message().to_owned();
            assert!(message.starts_with("`ALL_PROXY` is not the URL of a proxy"), "{message}");
            assert!(!message.contains("ssw0rd"), "{message}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let proxy = parse("http://us%3Aer:p%40ss@h:1").unwrap();
        assert_eq!(proxy.credentials, Some(("us:er".to_owned(), Secret::new("p@ss"))));
        assert_eq!(proxy.authorization().unwrap(), "Basic dXM6ZXI6cEBzcw==");
        assert_eq!(proxy.shown, "`http://h:1` of `ALL_PROXY`");
        assert!(!format!("{proxy:?}").contains("p@ss"));
        assert_eq!(parse("http://h:1").unwrap().authorization(), None);
    }
}
