//! The address of the server. The server binds the address before it loads the model, and listens after the model is
//! loaded.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, call};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// The maximum number of connections that the system queues until the server accepts them.
const BACKLOG: u32 = 1024;

/// A socket that is bound to an address but does not listen yet. The system refuses connections until
/// [`listen`](Self::listen) is called.
pub(super) struct BoundAddress {
    socket: TcpSocket,
    /// The configured host and port, for error messages.
    configured: String,
}

impl BoundAddress {
    /// Resolves `host`, and binds the first of its addresses that is available. Warns if other machines can reach the
    /// address.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the host is not a name or address of this machine, `RESOURCE_ALREADY_EXISTS` if the
    /// port is in use, `PERMISSION_DENIED` if the user may not bind the address.
    pub(super) async fn bind(host: &str, port: u16) -> Result<Self> {
        let configured = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let failed = |error: &std::io::Error| failed(&configured, error);
        let addresses: Vec<_> = lookup_host((host, port)).await.map_err(|error| failed(&error))?.collect();
        let mut last = std::io::Error::from(ErrorKind::AddrNotAvailable);
        for address in addresses {
            match bind_socket(address) {
                Ok(socket) => {
                    if let Some(warning) = warning(address) {
                        call::warn(warning);
                    }
                    return Ok(Self { socket, configured });
                }
                Err(error) => last = error,
            }
        }
        Err(failed(&last))
    }

    /// Listens for connections. Returns the listener, its IP address, and the URL of the server.
    ///
    /// # Errors
    /// Fails as [`bind`](Self::bind) does. For example, another process may have started to listen at the same address.
    pub(super) fn listen(self) -> Result<(TcpListener, IpAddr, String)> {
        let Self { socket, configured } = self;
        let listening = socket.listen(BACKLOG).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listening.map_err(|error| failed(&configured, &error))?;
        let ip = match address.ip() {
            // The unspecified address includes the loopback address.
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Ok((listener, address.ip(), format!("http://{}", SocketAddr::new(ip, address.port()))))
    }
}

/// Returns a warning if other machines can reach the address, and `None` otherwise.
pub(super) fn warning(address: SocketAddr) -> Option<String> {
    (!address.ip().is_loopback()).then(|| {
        format!(
            "serving the model at {}, which other machines can reach, without a password and without encryption; leave \
             out `host` to serve only this machine",
            address.ip()
        )
    })
}

fn bind_socket(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Allows binding a port that was closed a moment ago.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn failed(address: &str, error: &std::io::Error) -> Error {
    let choose = "choose another port with the config `port` (0 for any free port)";
    match error.kind() {
        ErrorKind::AddrInUse => Error::new(
            ErrorCode::RESOURCE_ALREADY_EXISTS,
            format!("the address {address} is in use: stop the process that listens there, or {choose}"),
        ),
        ErrorKind::PermissionDenied => Error::new(
            ErrorCode::PERMISSION_DENIED,
            format!("no permission to listen at {address} ({error}): {choose}"),
        ),
        _ => Error::invalid_parameter(format!(
            "failed to listen at {address}: {error}; the config `host` must be a name or an address of this machine"
        )),
    }
}
