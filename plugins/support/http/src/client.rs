//! The HTTP client inside a plugin's client. Its connections are made on first use, kept alive, and shared by all
//! operations.

use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::{Error, Redactor, Result, blocking, call};
use tokio::sync::OnceCell;
use url::Url;

use crate::connect::Transport;
use crate::connection::Connection;
use crate::request::Request;
use crate::secrets::RequestSecrets;
use crate::tls;
use crate::url::{is_link_local, is_loopback};

/// An HTTP client that stores no cookies.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    /// The transport for requests that use TLS. Reading the system's certificate authorities takes longer than a call.
    encrypted: OnceCell<Result<Transport>>,
    /// The transport for requests that never use TLS.
    plain: OnceCell<Result<Transport>>,
    secrets: RequestSecrets,
    has_warned: AtomicBool,
}

impl Client {
    /// Creates an HTTP client. The certificate files that the settings name are read before the first request, and
    /// those of the system before the first request that uses TLS.
    pub fn new(connection: Connection) -> Self {
        let secrets = RequestSecrets::new(&connection.proxies);
        let (encrypted, plain) = (OnceCell::new(), OnceCell::new());
        Self { connection, encrypted, plain, secrets, has_warned: AtomicBool::new(false) }
    }

    /// Returns the transport for requests to a URL.
    pub(crate) async fn transport(&self, url: &Url) -> Result<&Transport> {
        let Connection { proxies, ca_certs, client_cert, .. } = &self.connection;
        // A connection to a proxy may use TLS, too. And a file that the user names has to be read, to find its faults.
        let is_plain = url.scheme() == "http" && proxies.http.is_none() && ca_certs.is_none() && client_cert.is_none();
        let transport = if is_plain { &self.plain } else { &self.encrypted };
        let build = || {
            let connection = self.connection.clone();
            blocking(move || {
                if is_plain {
                    return Transport::new(&connection, tls::nothing_trusted()?);
                }
                if connection.insecure {
                    call::warn(
                        "the server's certificate is not checked: an attacker on the network can impersonate the server",
                    );
                }
                Transport::new(&connection, tls::settings(&connection)?)
            })
        };
        transport.get_or_init(build).await.as_ref().map_err(Clone::clone)
    }

    /// Returns a redactor that removes the secrets of a request and of the proxies from messages.
    pub(crate) fn redactor(&self, request: &Request) -> Redactor {
        self.secrets.redactor(request)
    }

    /// Fails if the request would send credentials to another machine over plain `http`. If the settings allow this,
    /// warns once instead.
    pub(crate) fn guard_plain_credentials(&self, request: &Request) -> Result<()> {
        let url = request.url();
        let has_credentials =
            request.headers().values().any(http::HeaderValue::is_sensitive) || !request.hidden.is_empty();
        if !has_credentials || url.scheme() != "http" || is_loopback(url) || is_link_local(url) {
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

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use http::{HeaderValue, Method};
    use mlflow_deploy_plugin_api::Secret;
    use url::Url;

    use super::*;
    use crate::{Credentials, hide, request};

    #[test]
    fn credentials_over_plain_http_cause_a_warning_or_an_error() {
        let token = Credentials::Bearer(Secret::new("t")).header().unwrap();
        let build = |url: &str, token: Option<&HeaderValue>| {
            let headers = token.map(|token| (AUTHORIZATION, token.clone())).into_iter().collect();
            request(Method::GET, &Url::parse(url).unwrap(), headers, "").unwrap()
        };
        let plain = |url| build(url, None);
        let secret = |url| build(url, Some(&token));
        let in_body = |url| {
            let mut request = plain(url);
            hide(&mut request, [Secret::new("t")]);
            request
        };
        for (request, warns) in [
            (plain("http://far.test"), false),
            (secret("https://far.test"), false),
            (secret("http://localhost:5000"), false),
            (secret("http://127.0.0.2"), false),
            (secret("http://[::1]"), false),
            (secret("http://169.254.169.254"), false),
            (secret("http://far.test"), true),
            (in_body("http://localhost"), false),
            (in_body("http://far.test"), true),
        ] {
            let url = request.url();
            let client = Client::new(Connection::default());
            client.guard_plain_credentials(&request).unwrap();
            assert_eq!(client.has_warned.load(Ordering::Relaxed), warns, "{url}");
            let strict = Client::new(Connection { allow_http: false, ..Connection::default() });
            let is_rejected = strict.guard_plain_credentials(&request).is_err();
            assert_eq!(is_rejected, warns, "{url}");
        }
    }
}
