//! Finds the reason why a connection was not made, by another connection to the server or the proxy. The HTTP library
//! does not report the reason.

use std::io;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::proxy::{Protocol, Proxy};

/// The maximum number of bytes that are read from a proxy's answer.
const MAX_HEAD: usize = 16 * 1024;

/// Sends `CONNECT` to a proxy that has refused to connect to a server. Returns a description of the proxy's answer, and
/// true if another attempt would fail in the same way. Returns `None` if the proxy does not answer within `time`,
/// accepts the request this time, or is not a plain HTTP proxy.
pub(super) async fn refusal(proxy: &Proxy, url: &Url, time: Duration) -> Option<(String, bool)> {
    if proxy.protocol != Protocol::Http {
        return None;
    }
    let authority = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let head = timeout(time, ask(proxy, &authority)).await.ok()?.ok()?;
    let Some(status) = status(&head) else { return Some(("its answer is not HTTP".to_owned(), false)) };
    if status.is_success() {
        return None;
    }
    let hint = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "; set its user and password in the variable, as `http://user:password@host:port`"
        }
        _ => "",
    };
    Some((format!("it answered `CONNECT {authority}` with {status}{hint}"), status.is_client_error()))
}

/// Returns true if a port accepts a connection soon. Its TLS handshake has then used up the time for connecting, and not
/// the connection itself.
pub(super) async fn accepts(address: &str) -> bool {
    /// A short time, because the time limit for connecting has already passed.
    const TIME: Duration = Duration::from_secs(3);
    unreachable(address, TIME).await.is_none()
}

/// Connects to a port. Returns the reason if the port cannot be reached within `time`, or `None` if it can.
pub(super) async fn unreachable(address: &str, time: Duration) -> Option<String> {
    match timeout(time, TcpStream::connect(address)).await {
        Ok(connected) => connected.err().map(|error| error.to_string()),
        Err(_elapsed) => Some(format!("no connection within {} s", time.as_secs_f64())),
    }
}

/// Sends `CONNECT` to a proxy, with the server's host and port in `authority`. Returns the proxy's answer, which is
/// read at least up to the end of its first line.
async fn ask(proxy: &Proxy, authority: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(&proxy.address).await?;
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(authorization) = proxy.authorization() {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(authorization.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < MAX_HEAD {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

/// Returns the HTTP status in the first line of a proxy's answer, or `None` if the answer is not HTTP.
fn status(answer: &[u8]) -> Option<StatusCode> {
    let line = String::from_utf8_lossy(answer.split(|byte| *byte == b'\n').next()?).into_owned();
    line.strip_prefix("HTTP/1.")?.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_in_the_first_line() {
        for (answer, expected) in [
            ("HTTP/1.1 403 No\r\n\r\nbody", Some(403)),
            ("HTTP/1.0 407 \r\n", Some(407)),
            ("HTTP/1.1 502", Some(502)),
            ("HTTP/1.1 x", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(answer.as_bytes()).map(|status| status.as_u16()), expected, "{answer}");
        }
    }
}
