//! Determines from a URL if a request is sent directly or through a proxy.

use mlflow_deploy_plugin_api::Result;
use url::Url;

use super::bypass::Bypass;
use super::proxy::{Proxy, ProxySetting};

/// The proxy settings of a client, as in its environment variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    /// The proxy for `http` URLs.
    pub(crate) http: Option<ProxySetting>,
    /// The proxy for `https` URLs.
    pub(crate) https: Option<ProxySetting>,
    /// The value of `NO_PROXY`, which lists the hosts that need no proxy.
    pub(crate) bypass: String,
}

/// The parsed proxy settings of a client. A wrong setting is an error only for the URLs that would use its proxy.
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

    /// Returns true if a proxy is set, even if its setting is wrong.
    pub(crate) fn has_proxy(&self) -> bool {
        self.http.is_some() || self.https.is_some()
    }

    /// Returns the proxy for requests to a URL, or `None` if the requests are sent directly to the server.
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
