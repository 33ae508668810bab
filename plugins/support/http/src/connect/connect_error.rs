//! The failure to make a connection: at the server, at the proxy, or in TLS.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use mlflow_deploy_plugin_api::Error;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The reason why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The proxy's setting is wrong.
    Setting(Error),
    /// The proxy is not reached, or does not lead to the server.
    Proxy {
        /// The proxy for messages.
        shown: String,
        reason: String,
        /// True if another attempt would fail in the same way.
        is_final: bool,
        cause: Option<BoxError>,
    },
    /// The server's name is not resolved, or its port is not reached.
    Server(BoxError),
    /// The TLS handshake with the server failed.
    Tls(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(error) => formatter.write_str(error.message()),
            Self::Proxy { .. } => formatter.write_str("no connection through the proxy"),
            Self::Server(error) => error.fmt(formatter),
            Self::Tls(error) => error.fmt(formatter),
        }
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Setting(_) => None,
            Self::Proxy { cause, .. } => cause.as_deref().map(|cause| cause as _),
            Self::Server(error) => error.source(),
            Self::Tls(error) => error.source(),
        }
    }
}

/// Returns the innermost cause, such as `Connection refused (os error 111)`.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut reason = error;
    while let Some(next) = reason.source() {
        reason = next;
    }
    reason.to_string()
}
