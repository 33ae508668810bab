//! Connections: the route to a server, directly or through a proxy, and TLS above it.

mod bypass;
mod connect_error;
mod connector;
mod proxy;
mod routes;
mod transport;
mod tunnel;

pub(crate) use connect_error::{ConnectError, innermost};
pub(crate) use proxy::{ProxySetting, proxy_url};
pub(crate) use routes::Proxies;
pub(crate) use transport::Transport;
