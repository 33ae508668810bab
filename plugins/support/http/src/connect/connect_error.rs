//! The error of a connection that could not be made, because of the server, the proxy or TLS.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use url::{Host, Url};

use super::probe::{accepts, refusal, unreachable};
use super::proxy::{Protocol, Proxy};
use crate::text::innermost;
use crate::tls;

/// The error of a connection that could not be made. It wraps the error of the HTTP library.
#[derive(Debug)]
pub(crate) struct ConnectError {
    pub(crate) step: FailedStep,
    /// The reason of the failure, as a part of the error message.
    pub(crate) reason: String,
    /// True if another attempt would fail in the same way.
    pub(crate) is_final: bool,
    error: reqwest::Error,
}

/// The step in which a connection failed.
#[derive(Debug)]
pub(crate) enum FailedStep {
    /// The proxy cannot be reached, or does not connect to the server. The text describes the proxy in messages.
    Proxy(String),
    /// The server's name cannot be resolved, or its port cannot be reached.
    Server,
    /// The TLS handshake with the server failed.
    Tls,
}

impl ConnectError {
    /// Determines which part of a connection failed and why. If the HTTP library does not report the reason, sends
    /// another request to the proxy to learn it. `time` is the time limit for connecting.
    pub(crate) async fn new(error: reqwest::Error, url: &Url, proxy: Option<&Proxy>, time: Duration) -> Self {
        let is_https = url.scheme() == "https";
        if let Some(proxy) = proxy {
            if has_link(&error, "tunnel error") {
                let (reason, is_final) = match refusal(proxy, url, time).await {
                    Some(refused) => refused,
                    None if proxy.protocol == Protocol::Https => of_tls_proxy(&error, proxy),
                    None => (innermost(&error), false),
                };
                return Self::of_proxy(proxy, reason, is_final, error);
            }
            let is_tls = tls::is_tls(&error);
            if is_tls && !is_https {
                let (reason, is_final) = of_tls_proxy(&error, proxy);
                return Self::of_proxy(proxy, reason, is_final, error);
            }
            // With `socks5`, this machine resolves the server's name, and before that the proxy's name.
            let is_name_of_server = matches!(proxy.protocol, Protocol::Socks5 { local_dns: true })
                && !proxy.has_name()
                && matches!(url.host(), Some(Host::Domain(_)))
                && has_link(&error, "failed to lookup address");
            if is_name_of_server {
                return Self { step: FailedStep::Server, reason: innermost(&error), is_final: false, error };
            }
            if !is_tls {
                let is_hidden = has_link(&error, "failed to create underlying connection");
                let reason = if is_hidden { unreachable(&proxy.address, time).await } else { None };
                let is_silent = error.is_timeout() && accepts(&proxy.address).await;
                let reason = reason.unwrap_or_else(|| match (is_silent, proxy.protocol, is_https) {
                    (true, Protocol::Https, _) => {
                        format!("{}; {}", silent(time), plain_proxy(proxy))
                    }
                    (true, _, true) => format!(
                        "it accepts connections, but no TLS connection through it was complete within {} s: the proxy or \
                         the server does not answer",
                        time.as_secs_f64()
                    ),
                    (_, Protocol::Https, _) if !error.is_timeout() && !is_tcp(&error) => of_tls_proxy(&error, proxy).0,
                    _ => within(&error, time),
                });
                return Self::of_proxy(proxy, reason, false, error);
            }
        } else if is_https && error.is_timeout() && accepts(&address(url)).await {
            let reason = format!("{}; if the server does not use TLS there, use `http://`", silent(time));
            return Self { step: FailedStep::Tls, reason, is_final: false, error };
        } else if !is_https || error.is_timeout() || is_tcp(&error) {
            return Self { step: FailedStep::Server, reason: within(&error, time), is_final: false, error };
        }
        let (reason, is_final) = tls::reason(&error);
        Self { step: FailedStep::Tls, reason, is_final, error }
    }

    fn of_proxy(proxy: &Proxy, reason: String, is_final: bool, error: reqwest::Error) -> Self {
        Self { step: FailedStep::Proxy(proxy.shown.clone()), reason, is_final, error }
    }
}

/// Returns the reason why the TLS connection to a proxy failed, and true if another attempt would fail in the same way.
fn of_tls_proxy(error: &reqwest::Error, proxy: &Proxy) -> (String, bool) {
    if tls::is_plain(error) {
        return (format!("no TLS is spoken there: {}", plain_proxy(proxy)), true);
    }
    if !tls::is_tls(error) {
        return (format!("{}; {}", innermost(error), plain_proxy(proxy)), false);
    }
    let (reason, is_final) = tls::reason(error);
    // The peer of this handshake is the proxy.
    (reason.replace("the server", "the proxy"), is_final)
}

/// Returns advice for a proxy that may not use TLS.
fn plain_proxy(proxy: &Proxy) -> String {
    format!("if the proxy uses plain HTTP, set that variable to `http://{}`", proxy.address)
}

/// Describes a peer that does not answer in the TLS handshake. `time` is the time limit for connecting.
fn silent(time: Duration) -> String {
    format!("the port accepts connections, but did not answer the TLS handshake within {} s", time.as_secs_f64())
}

/// Returns the host and the port of a URL's server.
fn address(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// Describes why a connection failed: the time limit `time` has passed, or the innermost cause of the error.
fn within(error: &reqwest::Error, time: Duration) -> String {
    if error.is_timeout() { format!("no connection within {} s", time.as_secs_f64()) } else { innermost(error) }
}

/// Returns true if a connection failed because the server's name cannot be resolved or its port cannot be reached.
fn is_tcp(error: &reqwest::Error) -> bool {
    ["dns error", "tcp ", "failed to lookup address"].iter().any(|text| has_link(error, text))
}

/// Returns true if the message of an error, or of one of its causes, contains `text`.
fn has_link(error: &(dyn StdError + 'static), text: &str) -> bool {
    error.to_string().contains(text) || error.source().is_some_and(|source| has_link(source, text))
}

impl fmt::Display for ConnectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no connection")
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}
