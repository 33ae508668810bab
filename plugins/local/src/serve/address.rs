//! The address that a model is served at. It is taken before the model is loaded, and listened at after that.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, call};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address that is taken: nobody else can listen there, and whoever connects is still refused.
pub(super) struct Address {
    socket: TcpSocket,
    asked: String,
}

impl Address {
    /// Takes the first address of the host that can be had; warns where others than this machine can reach it.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the host is none of this machine, `RESOURCE_ALREADY_EXISTS` where the port is taken.
    pub(super) async fn take(host: &str, port: u16) -> Result<Self> {
        let asked = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let failed = |error: &std::io::Error| failed(&asked, error);
        let found: Vec<_> = lookup_host((host, port)).await.map_err(|error| failed(&error))?.collect();
        let mut last = std::io::Error::from(ErrorKind::AddrNotAvailable);
        for address in found {
            match bind(address) {
                Ok(socket) => {
                    if let Some(warning) = warning(address) {
                        call::warn(warning);
                    }
                    return Ok(Self { socket, asked });
                }
                Err(error) => last = error,
            }
        }
        Err(failed(&last))
    }

    /// Listens, and gives the address, and the URL as others call it.
    ///
    /// # Errors
    /// As for [`take`](Self::take), where somebody else was quicker.
    pub(super) fn listen(self) -> Result<(TcpListener, IpAddr, String)> {
        let Self { socket, asked } = self;
        let listening = socket.listen(BACKLOG).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listening.map_err(|error| failed(&asked, &error))?;
        let ip = match address.ip() {
            // Where all addresses are listened at, this is one of them.
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Ok((listener, address.ip(), format!("http://{}", SocketAddr::new(ip, address.port()))))
    }
}

/// What there is to say of an address that is not this machine's alone.
pub(super) fn warning(address: SocketAddr) -> Option<String> {
    (!address.ip().is_loopback()).then(|| {
        format!(
            "the model is served at {}, where other machines may reach it, without a password and without encryption; \
             leave `host` out to serve this machine alone",
            address.ip()
        )
    })
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port that was served a moment ago can be served again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn failed(asked: &str, error: &std::io::Error) -> Error {
    let choose = "choose another with the config `port`, 0 for any that is free";
    match error.kind() {
        ErrorKind::AddrInUse => Error::new(
            ErrorCode::RESOURCE_ALREADY_EXISTS,
            format!("somebody else listens at {asked} already: stop that, or {choose}"),
        ),
        ErrorKind::PermissionDenied => Error::new(
            ErrorCode::PERMISSION_DENIED,
            format!("the system does not let you listen at {asked} ({error}): {choose}"),
        ),
        _ => Error::invalid_parameter(format!(
            "failed to listen at {asked}: {error}; the config `host` is to be a name or an address of this machine"
        )),
    }
}
