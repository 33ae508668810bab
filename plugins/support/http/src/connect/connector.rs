//! Makes connections: TCP to the server or its proxy, the proxy's handshake, and TLS to the server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use mlflow_deploy_plugin_api::Error;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::lookup_host;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

use super::connect_error::{ConnectError, innermost};
use super::proxy::{Protocol, Proxy};
use super::routes::Routes;
use super::tunnel::{self, TunnelError};
use crate::tls;

/// The interval at which an idle TCP connection is checked.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Connects to the server of a URL.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) tcp: HttpConnector,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) routes: Arc<Routes>,
    /// The time for all steps together.
    pub(crate) timeout: Duration,
}

/// A connection to a server, or to an HTTP proxy that forwards requests.
pub(crate) struct Link {
    stream: TokioIo<Box<dyn Stream>>,
    is_proxied: bool,
}

/// The bytes of a connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Returns the settings of TCP connections.
pub(crate) fn tcp(timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(3));
    tcp
}

impl Connector {
    /// Connects within the time.
    async fn connect(self, uri: Uri) -> Result<Link, ConnectError> {
        let url = Url::parse(&uri.to_string())
            .map_err(|error| ConnectError::Setting(Error::invalid_parameter(error.to_string())))?;
        let routes = Arc::clone(&self.routes);
        let proxy = routes.proxy(&url).map_err(ConnectError::Setting)?;
        let time = self.timeout;
        tokio::time::timeout(time, self.connect_by(proxy, &url, &uri)).await.unwrap_or_else(|_elapsed| {
            let error =
                io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", time.as_secs_f64()));
            Err(match proxy {
                Some(proxy) => unreachable(proxy, error.to_string(), false, Some(error.into())),
                None => ConnectError::Server(error.into()),
            })
        })
    }

    async fn connect_by(mut self, proxy: Option<&Proxy>, url: &Url, uri: &Uri) -> Result<Link, ConnectError> {
        let is_tls = url.scheme() == "https";
        let Some(proxy) = proxy else {
            let stream = self.tcp.call(uri.clone()).await.map_err(|error| ConnectError::Server(error.into()))?;
            let stream: Box<dyn Stream> = Box::new(stream.into_inner());
            let stream = if is_tls { self.encrypt(stream, uri).await.map_err(ConnectError::Tls)? } else { stream };
            return Ok(Link { stream: TokioIo::new(stream), is_proxied: false });
        };
        let stream = match proxy.protocol {
            Protocol::Socks5 { local_dns } => self.socks(proxy, url, local_dns).await?,
            Protocol::Http | Protocol::Https => self.http_proxy(proxy, url).await?,
        };
        let stream = if is_tls { self.encrypt(stream, uri).await.map_err(ConnectError::Tls)? } else { stream };
        let is_proxied = !is_tls && !matches!(proxy.protocol, Protocol::Socks5 { .. });
        Ok(Link { stream: TokioIo::new(stream), is_proxied })
    }

    /// Connects to an HTTP proxy, and through it to the server of an `https` URL.
    async fn http_proxy(&mut self, proxy: &Proxy, url: &Url) -> Result<Box<dyn Stream>, ConnectError> {
        let stream = self.tcp.call(proxy.address.clone()).await;
        let stream = stream.map_err(|error| unreachable(proxy, innermost(&error), false, Some(error.into())))?;
        let mut stream: Box<dyn Stream> = Box::new(stream.into_inner());
        if proxy.protocol == Protocol::Https {
            stream = self.encrypt(stream, &proxy.address).await.map_err(|error| {
                let (reason, is_final) = tls::reason(&error);
                unreachable(proxy, reason, is_final, Some(error.into()))
            })?;
        }
        if url.scheme() == "https" {
            let authority = authority(url);
            let opened = tunnel::open(&mut stream, &authority, proxy.authorization().as_ref()).await;
            opened.map_err(|error| match error {
                TunnelError::Broken(error) => unreachable(proxy, innermost(&error), false, Some(error.into())),
                TunnelError::Refused(status) => {
                    let hint = match status.as_u16() {
                        407 => "; set its user and password in the variable, as `http://user:password@host:port`",
                        _ => "",
                    };
                    let reason = format!("it answered `CONNECT {authority}` with {status}{hint}");
                    unreachable(proxy, reason, status.is_client_error(), None)
                }
            })?;
        }
        Ok(stream)
    }

    async fn socks(&mut self, proxy: &Proxy, url: &Url, local_dns: bool) -> Result<Box<dyn Stream>, ConnectError> {
        let mut destination = authority(url);
        if local_dns && let Some(url::Host::Domain(_)) = url.host() {
            destination = resolve(&destination).await.map_err(|error| ConnectError::Server(error.into()))?.to_string();
        }
        let failed = |reason: String, cause| unreachable(proxy, reason, false, cause);
        let destination =
            Uri::try_from(format!("http://{destination}")).map_err(|error| failed(error.to_string(), None))?;
        let stream = self.tcp.call(proxy.address.clone()).await;
        let stream = stream.map_err(|error| failed(innermost(&error), Some(error.into())))?;
        // The TCP connection is made above, so that its error is not hidden by the handshake's.
        let mut socks = SocksV5::new(proxy.address.clone(), Ready(Some(stream)));
        if let Some((user, password)) = &proxy.credentials {
            socks = socks.with_auth(user.clone(), password.expose().to_owned());
        }
        let stream = socks.call(destination).await.map_err(|error| failed(error.to_string(), None))?;
        Ok(Box::new(stream.into_inner()))
    }

    /// Makes the TLS handshake with the host of `uri`.
    async fn encrypt(&self, stream: Box<dyn Stream>, uri: &Uri) -> io::Result<Box<dyn Stream>> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Box::new(TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?))
    }
}

/// Returns host and port of a URL.
fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(80);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// Returns the first address of a name, IPv4 before IPv6, because many SOCKS proxies have no IPv6.
async fn resolve(authority: &str) -> io::Result<SocketAddr> {
    let addresses: Vec<_> = lookup_host(authority).await?.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied();
    first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn unreachable(
    proxy: &Proxy,
    reason: String,
    is_final: bool,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
) -> ConnectError {
    ConnectError::Proxy { shown: proxy.shown.clone(), reason, is_final, cause }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Returns a connection that is already made.
struct Ready(Option<TokioIo<tokio::net::TcpStream>>);

impl Service<Uri> for Ready {
    type Response = TokioIo<tokio::net::TcpStream>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        std::future::ready(self.0.take().ok_or_else(|| io::Error::other("the connection is used")))
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxied)
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
