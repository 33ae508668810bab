//! Parses `NO_PROXY`, which lists the hosts to which requests are sent without a proxy.

use std::net::IpAddr;

use url::{Host, Url};

use crate::url::is_loopback;

/// The address of the metadata service on a cloud's machines. The service issues credentials, so requests to it never
/// use a proxy.
const METADATA: &str = "169.254.169.254";

/// The entries of `NO_PROXY`: the hosts to which requests are sent without a proxy. This machine and a cloud's metadata
/// service are such hosts even if no entry names them.
#[derive(Debug, Default)]
pub(crate) struct Bypass(Vec<Entry>);

/// One entry of `NO_PROXY`, such as `corp.test`, `.corp.test`, `*.corp.test:8080`, `10.0.0.0/8` or `[::1]:5000`.
#[derive(Debug, PartialEq)]
struct Entry {
    hosts: Hosts,
    /// The port to which the entry is limited; `None` if the entry matches every port.
    port: Option<u16>,
}

#[derive(Debug, PartialEq)]
enum Hosts {
    Any,
    /// A domain name and all of its subdomains.
    Domain(String),
    /// A network: an address, and the number of leading bits that all addresses in the network share.
    Network(IpAddr, u32),
}

impl Bypass {
    /// Parses the value of `NO_PROXY`. Commas or blanks separate its entries. An invalid entry matches no host.
    pub(crate) fn parse(text: &str) -> Self {
        let entries = text.split(|each: char| each == ',' || each.is_whitespace()).filter(|entry| !entry.is_empty());
        Self(entries.map(|entry| Entry::parse(&entry.to_ascii_lowercase())).collect())
    }

    /// Returns true if requests to a URL do not use a proxy.
    pub(crate) fn contains(&self, url: &Url) -> bool {
        is_loopback(url)
            || url.host_str() == Some(METADATA)
            || url.host().is_some_and(|host| {
                let port = url.port_or_known_default();
                self.0.iter().any(|entry| (entry.port.is_none() || entry.port == port) && entry.hosts.contain(&host))
            })
    }
}

impl Entry {
    fn parse(text: &str) -> Self {
        // `::1` has colons but no port.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if text.parse::<IpAddr>().is_err() && !text.contains('/') => {
                port.parse().map_or((text, None), |port| (host, Some(port)))
            }
            _ => (text, None),
        };
        Self { hosts: Hosts::parse(host), port }
    }
}

impl Hosts {
    fn parse(text: &str) -> Self {
        if text == "*" {
            return Self::Any;
        }
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        if let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
            let all = if address.is_ipv4() { 32 } else { 128 };
            return Self::Network(address, bits.parse().map_or(all, |bits: u32| bits.min(all)));
        }
        let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        Self::Domain(name.trim_end_matches('.').to_owned())
    }

    fn contain(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Domain(domain), Host::Domain(name)) => {
                let above = name.trim_end_matches('.').strip_suffix(domain.as_str());
                !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            (Self::Network(IpAddr::V4(network), bits), Host::Ipv4(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (Self::Network(IpAddr::V6(network), bits), Host::Ipv6(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_matches_its_hosts_and_its_port() {
        for (entries, url, is_direct) in [
            ("gw.corp.test:5000", "http://gw.corp.test:5000/p", true),
            ("gw.corp.test:5000", "http://gw.corp.test:5001", false),
            ("gw.corp.test:80", "http://gw.corp.test", true),
            ("gw.corp.test:443", "http://gw.corp.test", false),
            ("gw.corp.test:443", "https://gw.corp.test", true),
            ("corp.test:443", "https://gw.corp.test", true),
            ("a.test, GW.corp.TEST", "http://gw.CORP.test", true),
            ("a.test gw.corp.test", "http://gw.corp.test.", true),
            ("*.corp.test", "http://gw.corp.test", true),
            (".corp.test", "http://gw.corp.test", true),
            ("corp.test", "http://gw.corp.test", true),
            ("corp.test", "http://xcorp.test", false),
            ("w.corp.test", "http://gw.corp.test", false),
            ("*", "http://far.test", true),
            ("*:8080", "http://far.test", false),
            (",, ", "http://far.test", false),
            (".", "http://far.test", false),
            ("10.0.0.0/8", "http://10.1.2.3", true),
            ("10.0.0.0/8", "http://11.1.2.3", false),
            ("10.1.2.3", "http://10.1.2.4", false),
            ("10.1.2.3:80", "http://10.1.2.3", true),
            ("10.1.2.3:81", "http://10.1.2.3", false),
            ("0.0.0.0/0", "http://10.1.2.3", true),
            ("10.0.0.0/99", "http://10.0.0.0", true),
            ("fd00::/8", "http://[fd00::1]", true),
            ("fd00::1", "http://[fd00::1]:5000", true),
            ("[fd00::1]:5000", "http://[fd00::1]:5000", true),
            ("[fd00::1]:5000", "http://[fd00::1]:5001", false),
            ("::/0", "http://[fd00::1]", true),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(Bypass::parse(entries).contains(&url), is_direct, "{entries} {url}");
        }
    }

    #[test]
    fn this_machine_and_the_metadata_service_have_no_proxy() {
        for url in [
            "http://localhost:1",
            "http://a.localhost",
            "http://127.0.0.9",
            "http://0.0.0.0:5000",
            "http://[::1]:1",
            "http://[::]",
            "http://169.254.169.254/x",
        ] {
            assert!(Bypass::default().contains(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(!Bypass::default().contains(&Url::parse("http://169.254.169.253").unwrap()));
    }
}
