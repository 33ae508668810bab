//! The HTTP client of a plugin's client. Connections are made on first use, kept alive, and shared by all operations.

use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::{Error, Redactor, Result, Secret, blocking, call};
use reqwest::{NoProxy, Proxy, redirect};
use tokio::sync::OnceCell;
use url::Url;

use crate::connection::Connection;
use crate::request::{Hidden, Request};
use crate::url::is_loopback;
use crate::{secrets, tls};

/// The hosts that are never reached through a proxy: this machine, and the metadata service of a cloud, which issues
/// credentials.
const ALWAYS_DIRECT: &str = "localhost,127.0.0.0/8,::1,169.254.169.254";

/// An HTTP client without cookies and compression. The retry loop follows redirects, not the HTTP library.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    inner: OnceCell<Result<reqwest::Client>>,
    has_warned: AtomicBool,
}

impl Client {
    /// Creates a client. The files of the settings are read on first use.
    pub fn new(connection: Connection) -> Self {
        Self { connection, inner: OnceCell::new(), has_warned: AtomicBool::new(false) }
    }

    pub(crate) async fn inner(&self) -> Result<&reqwest::Client> {
        let build = || {
            let connection = self.connection.clone();
            blocking(move || build(&connection))
        };
        self.inner.get_or_init(build).await.as_ref().map_err(Clone::clone)
    }

    /// Returns the redactor for the secrets of a request.
    pub(crate) fn redactor(&self, request: &Request) -> Redactor {
        secrets::redactor(request, &self.connection.proxies)
    }

    /// Fails if credentials would be sent in clear text to another machine, or warns once if this is allowed.
    pub(crate) fn guard_plain_credentials(&self, request: &Request, url: &Url) -> Result<()> {
        let has_credentials = request.headers().values().any(http::HeaderValue::is_sensitive)
            || request.extensions().get::<Hidden>().is_some();
        if !has_credentials || url.scheme() != "http" || is_loopback(url) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        if !self.connection.allow_http {
            return Err(Error::invalid_parameter(format!(
                "refusing to send credentials to `{host}` over plain `http`, because others could read them: use `https`, \
                 or set the option `allow_http` if you trust the network"
            )));
        }
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            call::warn(format!(
                "sending credentials to `{host}` over plain `http`, so that others can read them: prefer `https`"
            ));
        }
        Ok(())
    }
}

fn build(connection: &Connection) -> Result<reqwest::Client> {
    if connection.insecure {
        call::warn("the server's certificate is not checked: an attacker on the network can impersonate the server");
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(&connection.user_agent)
        .connect_timeout(connection.connect_timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        .tls_backend_preconfigured(tls::settings(connection)?)
        .no_proxy();
    let bypass = NoProxy::from_string(&format!("{ALWAYS_DIRECT},{}", connection.proxies.bypass));
    if let Some(proxy) = &connection.proxies.http {
        builder = builder.proxy(proxy_for(Proxy::http, proxy, "http")?.no_proxy(bypass.clone()));
    }
    if let Some(proxy) = &connection.proxies.https {
        builder = builder.proxy(proxy_for(Proxy::https, proxy, "https")?.no_proxy(bypass));
    }
    builder.build().map_err(|error| {
        let secrets = [&connection.proxies.http, &connection.proxies.https].into_iter().flatten();
        let redactor = Redactor::new(secrets.flat_map(secrets::of_proxy).map(Secret::new));
        Error::internal("failed to set up HTTP").with_cause(&error.without_url()).redacted(&redactor)
    })
}

/// Creates a proxy for the URLs of a scheme. The error contains neither the proxy's URL nor the HTTP library's message,
/// because both may contain a password.
fn proxy_for(make: fn(Url) -> reqwest::Result<Proxy>, proxy: &Secret, scheme: &str) -> Result<Proxy> {
    let url = secrets::proxy_url(proxy).filter(|url| matches!(url.scheme(), "http" | "https"));
    url.and_then(|url| make(url).ok()).ok_or_else(|| {
        let variable = format!("{}_PROXY", scheme.to_ascii_uppercase());
        Error::invalid_parameter(format!(
            "invalid proxy for `{scheme}` URLs in `{variable}` or `ALL_PROXY`: expected an `http` or `https` URL such as \
             `http://user:password@host:8080`; in the password, write `%2F` for `/`, `%23` for `#` and `%3F` for `?`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    #[test]
    fn credentials_over_plain_http_cause_a_warning_or_an_error() {
        let token = Credentials::Bearer(Secret::new("t")).header().unwrap();
        let secret = http::Request::get("/").header("Authorization", token).body(bytes::Bytes::new()).unwrap();
        let plain = http::Request::new(bytes::Bytes::new());
        let mut in_body = plain.clone();
        crate::hide(&mut in_body, [Secret::new("t")]);
        for (request, url, warns) in [
            (&plain, "http://far.test", false),
            (&secret, "https://far.test", false),
            (&secret, "http://localhost:5000", false),
            (&secret, "http://127.0.0.2", false),
            (&secret, "http://[::1]", false),
            (&secret, "http://far.test", true),
            (&in_body, "http://localhost", false),
            (&in_body, "http://far.test", true),
        ] {
            let client = Client::new(Connection::default());
            client.guard_plain_credentials(request, &Url::parse(url).unwrap()).unwrap();
            assert_eq!(client.has_warned.load(Ordering::Relaxed), warns, "{url}");
            let strict = Client::new(Connection { allow_http: false, ..Connection::default() });
            let is_rejected = strict.guard_plain_credentials(request, &Url::parse(url).unwrap()).is_err();
            assert_eq!(is_rejected, warns, "{url}");
        }
    }
}
