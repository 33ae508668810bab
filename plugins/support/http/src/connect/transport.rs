//! Sends a single HTTP request without retries, over a new connection or one that was kept alive.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use mlflow_deploy_plugin_api::{Error, Result};
use reqwest::{Body, redirect};
use rustls::ClientConfig;
use url::Url;

use super::connect_error::ConnectError;
use super::proxy::{Protocol, Proxy};
use super::routes::Routes;
use crate::Connection;
use crate::url::without_user;

/// The failure to send a request, or to receive the status and headers of its response.
#[derive(Debug)]
pub(crate) enum SendError {
    Connect(ConnectError),
    /// The connection was made, but then lost.
    Lost(reqwest::Error),
}

/// An HTTP client that stores no cookies, and neither retries requests, nor follows redirects, nor decompresses
/// responses.
#[derive(Debug)]
pub(crate) struct Transport {
    client: reqwest::Client,
    routes: Arc<Routes>,
    connect_timeout: Duration,
}

impl Transport {
    /// Creates a client with these connection settings, whose connections use these settings of TLS.
    pub(crate) fn new(connection: &Connection, tls: ClientConfig) -> Result<Self> {
        let routes = Arc::new(Routes::new(&connection.proxies));
        let of_client = Arc::clone(&routes);
        // If a proxy's setting is wrong, the requests that would use the proxy fail before they are sent.
        let proxy = move |url: &Url| of_client.proxy(url).ok().flatten().map(|proxy| proxy.url_for(url));
        let mut client = reqwest::Client::builder().no_proxy();
        // The library asks for the proxy of every request, so it is told only if there is one.
        if routes.has_proxy() {
            client = client.proxy(reqwest::Proxy::custom(proxy));
        }
        let client = client
            .user_agent(&connection.user_agent)
            .connect_timeout(connection.connect_timeout)
            .redirect(redirect::Policy::none())
            .referer(false)
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| Error::internal("failed to set up HTTP").with_cause(&error.without_url()))?;
        Ok(Self { client, routes, connect_timeout: connection.connect_timeout })
    }

    /// Builds a request, whose URL has no user and no password.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the URL would use a proxy whose setting is wrong.
    pub(crate) fn request(
        &self,
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<reqwest::Request> {
        self.routes.proxy(url)?;
        let mut request = reqwest::Request::new(method.clone(), without_user(url));
        *request.headers_mut() = headers;
        *request.body_mut() = Some(Body::from(body));
        Ok(request)
    }

    /// Sends a request to its URL. Returns the response as soon as its status and headers have arrived.
    pub(crate) async fn send(&self, request: reqwest::Request, url: &Url) -> Result<http::Response<Body>, SendError> {
        match self.client.execute(request).await {
            Ok(response) => Ok(response.into()),
            Err(error) if error.is_connect() => {
                let proxy = self.routes.proxy(url).ok().flatten();
                let error = ConnectError::new(error.without_url(), url, proxy, self.connect_timeout).await;
                Err(SendError::Connect(error))
            }
            Err(error) => Err(SendError::Lost(error.without_url())),
        }
    }

    /// Returns the description of the proxy that can read requests to a URL and answer them in place of the server.
    /// Returns `None` if such a proxy is not used.
    pub(crate) fn proxy_of(&self, url: &Url) -> Option<&str> {
        let proxy = self.routes.proxy(url).ok().flatten();
        let forwards = |proxy: &&Proxy| url.scheme() == "http" && !matches!(proxy.protocol, Protocol::Socks5 { .. });
        proxy.filter(forwards).map(|proxy| proxy.shown.as_str())
    }
}
