//! The host names that requests may use. A page of another site can reach a loopback address through the user's
//! browser, but such a request names another host.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, Version};

use mlflow_deploy_plugin_api::text;
use mlflow_deploy_scoring::shorten;

use super::rejection::Rejection;

/// The names of a server.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    /// True if only this machine can reach the server. Otherwise the server accepts any IP address as a host.
    is_loopback: bool,
    /// The config's `host`, and its `allowed_hosts`.
    names: Vec<String>,
}

impl Hosts {
    /// Returns the names of a server that listens at `address`.
    pub(super) fn new<'a>(address: IpAddr, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(|name| bare(name).to_ascii_lowercase()).collect();
        Self { is_loopback: address.to_canonical().is_loopback(), names }
    }

    /// Checks the host and the origin of a request. HTTP/1.1 requires exactly one header `Host`. HTTP/1.0 does not
    /// require it, but no browser uses HTTP/1.0.
    ///
    /// # Errors
    /// A rejection if the request is for another server, or was sent by a page of another site.
    pub(super) fn check(&self, version: Version, target: &Uri, headers: &HeaderMap) -> Result<(), Rejection> {
        let mut hosts = headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => self.check_host(&String::from_utf8_lossy(host.as_bytes()))?,
            (None, _) if version < Version::HTTP_11 => {}
            (None, _) => return Err(Rejection::InvalidHost("has no header `Host`")),
            (Some(_), Some(_)) => return Err(Rejection::InvalidHost("has more than one header `Host`")),
        }
        if let Some(authority) = target.authority() {
            self.check_host(authority.as_str())?;
        }
        for origin in headers.get_all(ORIGIN) {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            let host = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
            if !host.is_some_and(|host| self.has(host)) {
                return Err(Rejection::OtherSite(displayed(&origin)));
            }
        }
        Ok(())
    }

    fn check_host(&self, host: &str) -> Result<(), Rejection> {
        if self.has(host) { Ok(()) } else { Err(Rejection::OtherHost(displayed(host))) }
    }

    /// Returns true for a name or address of the server, with any port: a proxy may forward another port to the server.
    fn has(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        // A user name may precede the host, and a port may follow it.
        let port = host.strip_prefix(authority.host()).map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        if !port.is_some_and(|port| port.bytes().all(|each| each.is_ascii_digit())) {
            return false;
        }
        let name = bare(authority.host()).to_ascii_lowercase();
        let is_own_address =
            name.parse::<IpAddr>().is_ok_and(|ip| !self.is_loopback || ip.to_canonical().is_loopback());
        is_own_address || name == "localhost" || self.names.iter().any(|own| *own == "*" || *own == name)
    }
}

/// Returns a name without its trailing dot, or an address without its brackets.
fn bare(host: &str) -> &str {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host))
}

/// Returns the start of a text for a message, as one line.
fn displayed(text: &str) -> String {
    text::line(&shorten(text)).into_owned()
}
