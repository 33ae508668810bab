//! Which names the server answers to. A page of another site reaches a loopback address through the browser that shows
//! it; the names that it has to use for that are not the server's.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, Version};

use super::answers::Refused;

/// The names of one server.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    /// Whether only this machine reaches it; else any address may be one of its own.
    is_loopback: bool,
    /// The config's `host`, and its `allowed_hosts`.
    names: Vec<String>,
}

impl Hosts {
    /// The names of a server that listens at `address`.
    pub(super) fn new<'a>(address: IpAddr, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(|name| bare(name).to_ascii_lowercase()).collect();
        Self { is_loopback: address.to_canonical().is_loopback(), names }
    }

    /// Refuses a request that was meant for another server, or was sent by another site's page. HTTP/1.1 says once whom
    /// it asks; HTTP/1.0 need not say it, and no browser speaks it.
    pub(super) fn check(&self, version: Version, target: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let mut hosts = headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => self.check_host(&String::from_utf8_lossy(host.as_bytes()))?,
            (None, _) if version < Version::HTTP_11 => {}
            (None, _) => return Err(Refused::NoHost("has no header `Host`")),
            (Some(_), Some(_)) => return Err(Refused::NoHost("has more than one header `Host`")),
        }
        if let Some(authority) = target.authority() {
            self.check_host(authority.as_str())?;
        }
        for origin in headers.get_all(ORIGIN) {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            let host = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
            if !host.is_some_and(|host| self.has(host)) {
                return Err(Refused::OtherSite(shown(&origin)));
            }
        }
        Ok(())
    }

    fn check_host(&self, host: &str) -> Result<(), Refused> {
        if self.has(host) { Ok(()) } else { Err(Refused::OtherHost(shown(host))) }
    }

    /// Whether it is the server's own name or address, with any port: it may be reached through another.
    fn has(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        // A user's name would stand before the host, and a port after it.
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

/// A name without the dot at its end, or an address without its brackets.
fn bare(host: &str) -> &str {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host))
}

/// As much of it as is shown.
fn shown(text: &str) -> String {
    text.chars().take(100).collect::<String>().escape_debug().to_string()
}
