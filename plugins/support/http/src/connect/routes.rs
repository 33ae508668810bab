//! The route of a URL: directly, or through the proxy of its scheme.

use mlflow_deploy_plugin_api::Result;
use url::Url;

use super::bypass::Bypass;
use super::proxy::{Proxy, ProxySetting};

/// The proxies of a client, as the environment gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    /// The proxy for `http` URLs.
    pub(crate) http: Option<ProxySetting>,
    /// The proxy for `https` URLs.
    pub(crate) https: Option<ProxySetting>,
    /// The value of `NO_PROXY`.
    pub(crate) bypass: String,
}

/// The routes of a client. If a proxy's setting is wrong, only the URLs that would use the proxy fail.
#[derive(Debug)]
pub(crate) struct Routes {
    http: Option<Result<Proxy>>,
    https: Option<Result<Proxy>>,
    bypass: Bypass,
}

impl Routes {
    pub(crate) fn new(proxies: &Proxies) -> Self {
        Self {
            http: proxies.http.as_ref().map(Proxy::parse),
            https: proxies.https.as_ref().map(Proxy::parse),
            bypass: Bypass::parse(&proxies.bypass),
        }
    }

    /// Returns the proxy of a URL, or `None` if its server is connected to directly.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the URL would use a proxy whose setting is wrong.
    pub(crate) fn proxy(&self, url: &Url) -> Result<Option<&Proxy>> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        match proxy {
            Some(proxy) if !self.bypass.contains(url) => proxy.as_ref().map(Some).map_err(Clone::clone),
            _ => Ok(None),
        }
    }
}
