//! The connections of one client of a plugin: made on first use, kept alive, shared by its operations.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mlflow_deploy_plugin_api::{Error, Redactor, Result, Secret, blocking, call};
use reqwest::{NoProxy, Proxy, redirect};
use tokio::sync::OnceCell;
use url::Url;

use crate::address::is_loopback;
use crate::environment::Proxies;
use crate::send::{Hidden, Request};
use crate::{secrets, tls};

/// What no proxy stands in front of: this machine, and the metadata service of a cloud, which hands out credentials.
const ALWAYS_DIRECT: &str = "localhost,127.0.0.0/8,::1,169.254.169.254";

/// How connections are made. It begins as the default, or as what the [`Environment`](crate::Environment) says.
#[derive(Clone, Debug)]
pub struct Connection {
    /// What the client calls itself.
    pub user_agent: String,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
    /// A file or folder with certificate authorities (PEM) that take the place of the system's.
    pub ca_certs: Option<PathBuf>,
    /// A file with the client's certificate and its key (PEM).
    pub client_cert: Option<PathBuf>,
    /// Whether any server is believed to be who it says it is.
    pub insecure: bool,
    /// Through which proxies requests go.
    pub(crate) proxies: Proxies,
    /// Whether credentials may go over plain `http` to another machine. There is a warning where they do.
    pub allow_http: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            user_agent: concat!("mlflow-deploy/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            ca_certs: None,
            client_cert: None,
            insecure: false,
            proxies: Proxies::default(),
            allow_http: true,
        }
    }
}

/// An HTTP client. It keeps no cookies, follows no redirects by itself, and asks for no compression.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    inner: OnceCell<Result<reqwest::Client>>,
    has_warned: AtomicBool,
}

impl Client {
    /// A client that connects like this. Its files are read when it is first used.
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

    /// Returns what removes the secrets of a request from text.
    pub(crate) fn redactor(&self, request: &Request) -> Redactor {
        secrets::redactor(request, &self.connection.proxies)
    }

    /// Keeps credentials from going where whoever is on the way can read them; or, where that is allowed, says so once.
    pub(crate) fn guard_plain_credentials(&self, request: &Request, url: &Url) -> Result<()> {
        let has_credentials = request.headers().values().any(http::HeaderValue::is_sensitive)
            || request.extensions().get::<Hidden>().is_some();
        if !has_credentials || url.scheme() != "http" || is_loopback(url) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        if !self.connection.allow_http {
            return Err(Error::invalid_parameter(format!(
                "credentials would go to `{host}` over plain `http`, where others can read them: use `https`, or set \
                 the option `allow_http` where you trust the network"
            )));
        }
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            call::warn(format!(
                "credentials go to `{host}` over plain `http`, where others can read them: prefer `https`"
            ));
        }
        Ok(())
    }
}

fn build(connection: &Connection) -> Result<reqwest::Client> {
    if connection.insecure {
        call::warn("the server's certificate is not checked: whoever is on the way can pretend to be the server");
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
        builder = builder.proxy(reach(Proxy::http, proxy, "http")?.no_proxy(bypass.clone()));
    }
    if let Some(proxy) = &connection.proxies.https {
        builder = builder.proxy(reach(Proxy::https, proxy, "https")?.no_proxy(bypass));
    }
    builder.build().map_err(|error| {
        let secrets = [&connection.proxies.http, &connection.proxies.https].into_iter().flatten();
        let redactor = Redactor::new(secrets.flat_map(secrets::of_proxy).map(Secret::new));
        Error::internal("failed to set up HTTP").with_cause(&error.without_url()).redacted(&redactor)
    })
}

/// A proxy for the URLs of a scheme. Its own URL may hold a password, so that nothing of it is repeated: neither the URL,
/// nor what the HTTP library says of it.
fn reach(make: fn(Url) -> reqwest::Result<Proxy>, proxy: &Secret, scheme: &str) -> Result<Proxy> {
    let url = secrets::proxy_url(proxy).filter(|url| matches!(url.scheme(), "http" | "https"));
    url.and_then(|url| make(url).ok()).ok_or_else(|| {
        let variable = format!("{}_PROXY", scheme.to_ascii_uppercase());
        Error::invalid_parameter(format!(
            "the proxy for `{scheme}` URLs, which `{variable}` or `ALL_PROXY` names, is not a URL of `http` or `https`: \
             expected such as `http://user:password@host:8080`, where a password has `%2F` for `/`, `%23` for `#` and \
             `%3F` for `?`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    #[test]
    fn credentials_in_the_open_are_warned_of_or_refused() {
        let token = Credentials::Bearer(Secret::new("t")).header().unwrap();
        let secret = http::Request::get("/").header("Authorization", token).body(bytes::Bytes::new()).unwrap();
        let open = http::Request::new(bytes::Bytes::new());
        let mut inside = open.clone();
        crate::hide(&mut inside, [Secret::new("t")]);
        for (request, url, warns) in [
            (&open, "http://far.test", false),
            (&secret, "https://far.test", false),
            (&secret, "http://localhost:5000", false),
            (&secret, "http://127.0.0.2", false),
            (&secret, "http://[::1]", false),
            (&secret, "http://far.test", true),
            (&inside, "http://localhost", false),
            (&inside, "http://far.test", true),
        ] {
            let client = Client::new(Connection::default());
            client.guard_plain_credentials(request, &Url::parse(url).unwrap()).unwrap();
            assert_eq!(client.has_warned.load(Ordering::Relaxed), warns, "{url}");
            let strict = Client::new(Connection { allow_http: false, ..Connection::default() });
            let refused = strict.guard_plain_credentials(request, &Url::parse(url).unwrap()).is_err();
            assert_eq!(refused, warns, "{url}");
        }
    }
}
