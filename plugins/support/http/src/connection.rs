//! The settings of connections: TLS, proxies, and the time to connect.

use std::path::PathBuf;
use std::time::Duration;

use crate::connect::Proxies;

/// The settings of a client's connections. The default uses no proxy;
/// [`Environment::connection`](crate::Environment::connection) reads the environment.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The maximum time to connect.
    pub connect_timeout: Duration,
    /// A file or folder with certificate authorities (PEM) that replace the system's.
    pub ca_certs: Option<PathBuf>,
    /// A file with the client's certificate and its key (PEM).
    pub client_cert: Option<PathBuf>,
    /// True if every server certificate is accepted.
    pub insecure: bool,
    /// The proxies.
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
