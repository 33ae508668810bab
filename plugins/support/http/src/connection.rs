//! The settings of a client's connections: TLS, proxies, and the time limit for connecting.

use std::path::PathBuf;
use std::time::Duration;

use crate::connect::Proxies;

/// The settings of a client's connections. The default uses no proxy.
/// [`Environment::connection`](crate::Environment::connection) reads the settings from environment variables.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The value of the `User-Agent` header.
    pub user_agent: String,
    /// The maximum time to make a connection.
    pub connect_timeout: Duration,
    /// A file or folder with certificate authorities (PEM), which replace those of the system.
    pub ca_certs: Option<PathBuf>,
    /// A file with the client's certificate and its key (PEM).
    pub client_cert: Option<PathBuf>,
    /// True if server certificates are accepted without a check.
    pub insecure: bool,
    /// The proxies for `http` and `https` URLs, and the hosts that need no proxy.
    pub(crate) proxies: Proxies,
    /// True if credentials may be sent over plain `http` to another machine. The client then warns once.
    pub allow_http: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            user_agent: concat!("mlflow-deploy/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            ca_certs: None,
            client_cert: None,
            insecure: false,
            proxies: Proxies::default(),
            allow_http: true,
        }
    }
}
