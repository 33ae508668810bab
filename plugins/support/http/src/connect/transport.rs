//! The HTTP client below the retries: sends one request over a new or kept connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mlflow_deploy_plugin_api::Result;
use url::Url;

use super::connector::{Connector, tcp};
use super::proxy::{Protocol, Proxy};
use super::routes::Routes;
use crate::url::without_user;
use crate::{Connection, header_value, tls};

/// The time for which an unused connection is kept.
const MAX_IDLE: Duration = Duration::from_secs(90);

/// An HTTP client without cookies, retries, redirects and compression.
#[derive(Debug)]
pub(crate) struct Transport {
    client: Client<Connector, Full<Bytes>>,
    routes: Arc<Routes>,
    user_agent: HeaderValue,
}

impl Transport {
    /// Creates a client. Reads the certificates.
    pub(crate) fn new(connection: &Connection) -> Result<Self> {
        let routes = Arc::new(Routes::new(&connection.proxies));
        let connector = Connector {
            tcp: tcp(connection.connect_timeout),
            tls: Arc::new(tls::settings(connection)?),
            routes: Arc::clone(&routes),
            timeout: connection.connect_timeout,
        };
        let mut builder = Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(MAX_IDLE);
        let user_agent = header_value("User-Agent", &connection.user_agent)?;
        Ok(Self { client: builder.build(connector), routes, user_agent })
    }

    /// Sends a request without user and password of its URL.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the URL is invalid, or its proxy's setting.
    pub(crate) fn send(&self, method: &Method, url: &Url, headers: HeaderMap, body: Bytes) -> Result<ResponseFuture> {
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = Uri::try_from(without_user(url).as_str()).map_err(|error| {
            mlflow_deploy_plugin_api::Error::invalid_parameter(format!("invalid URL of a request: {error}"))
        })?;
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        if let Some(authorization) = self.forwarding_proxy(url)?.and_then(Proxy::authorization) {
            headers.entry(PROXY_AUTHORIZATION).or_insert(authorization);
        }
        Ok(self.client.request(request))
    }

    /// Returns the proxy for messages, if it sees the requests to a URL and answers them in the server's place.
    pub(crate) fn proxy_of(&self, url: &Url) -> Option<&str> {
        self.forwarding_proxy(url).ok().flatten().map(|proxy| proxy.shown.as_str())
    }

    fn forwarding_proxy(&self, url: &Url) -> Result<Option<&Proxy>> {
        let proxy = self.routes.proxy(url)?;
        Ok(proxy.filter(|proxy| url.scheme() == "http" && !matches!(proxy.protocol, Protocol::Socks5 { .. })))
    }
}
