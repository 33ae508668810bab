//! Connects to servers, directly or through a proxy, with or without TLS.

mod bypass;
mod connect_error;
mod probe;
mod proxy;
mod routes;
mod transport;

pub(crate) use connect_error::{ConnectError, FailedStep};
pub(crate) use proxy::{ProxySetting, proxy_url};
pub(crate) use routes::Proxies;
pub(crate) use transport::{SendError, Transport};
