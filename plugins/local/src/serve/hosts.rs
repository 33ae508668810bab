//! Checks the host name in requests. A web page of another site can send requests to this server through the browser of
//! a user. Such a request contains the host name of the other site, so the server rejects it.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, Version};

use mlflow_deploy_plugin_api::text;
use mlflow_deploy_scoring::shorten;

use super::rejection::Rejection;

/// The host names and addresses that the server accepts in requests.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    /// True if only this machine can reach the server. If false, requests may name any IP address as the host.
    is_loopback: bool,
    /// The names in the config keys `host` and `allowed_hosts`.
    names: Vec<String>,
}

impl Hosts {
    /// Creates the list of accepted hosts for a server that listens at `address`. `names` are additional accepted
    /// names.
    pub(super) fn new<'a>(address: IpAddr, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(|name| bare(name).to_ascii_lowercase()).collect();
        Self { is_loopback: address.to_canonical().is_loopback(), names }
    }

    /// Checks the headers `Host` and `Origin` of a request. An HTTP/1.1 request must have exactly one `Host` header. An
    /// HTTP/1.0 request may omit it. This is safe, because browsers do not use HTTP/1.0.
    ///
    /// # Errors
    /// Returns a rejection if the request is for another server, or if a web page of another site sent it.
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

    /// Returns true if `host` is an accepted name or address. Accepts every port, because a proxy may forward another
    /// port to this server.
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

/// Returns a host name without its trailing dot, or an IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host))
}

/// Returns the start of a text as one line, for an error message.
fn displayed(text: &str) -> String {
    text::line(&shorten(text)).into_owned()
}
