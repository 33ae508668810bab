//! `CONNECT`: asks an HTTP proxy for a tunnel to a server.

use std::io;

use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The limit for the head of the proxy's answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The proxy's answer to `CONNECT`, if it is not a tunnel.
#[derive(Debug)]
pub(crate) enum TunnelError {
    /// The proxy answered with this status.
    Refused(StatusCode),
    /// The connection broke, or the answer is not HTTP.
    Broken(io::Error),
}

impl From<io::Error> for TunnelError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Asks for a tunnel to `authority`, such as `gateway.test:443`.
pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), TunnelError> {
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(authorization.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await?;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut part).await?;
        if length == 0 || answer.len() > MAX_HEAD {
            break;
        }
        answer.extend_from_slice(&part[..length]);
    }
    let line = String::from_utf8_lossy(answer.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_ascii_whitespace().nth(1));
    match status.and_then(|status| status.parse::<StatusCode>().ok()) {
        // The server speaks second in TLS: bytes after the head would come from the proxy.
        Some(status) if status.is_success() && answer.ends_with(b"\r\n\r\n") => Ok(()),
        Some(status) if !status.is_success() => Err(TunnelError::Refused(status)),
        _ if answer.is_empty() => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection without an answer").into())
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "its answer is not HTTP").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the result and the request for an answer that arrives in two parts.
    async fn ask(answer: &str) -> (Result<(), TunnelError>, String) {
        let (mut client, mut proxy) = tokio::io::duplex(1 << 16);
        let (first, second) = answer.split_at(answer.len() / 2);
        proxy.write_all(first.as_bytes()).await.unwrap();
        proxy.write_all(second.as_bytes()).await.unwrap();
        proxy.shutdown().await.unwrap();
        let result = open(&mut client, "far.test:443", Some(&HeaderValue::from_static("Basic eDp5"))).await;
        drop(client);
        let mut request = String::new();
        proxy.read_to_string(&mut request).await.unwrap();
        (result, request)
    }

    #[tokio::test]
    async fn a_tunnel_is_requested_with_the_credentials() {
        let (result, request) = ask("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n").await;
        result.unwrap();
        let expected = "CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\nProxy-Authorization: Basic eDp5\r\n\r\n";
        assert_eq!(request, expected);
    }

    #[tokio::test]
    async fn an_answer_without_a_tunnel_is_an_error() {
        for (answer, expected) in [
            ("HTTP/1.1 403 No\r\n\r\nbody", "Refused(403)"),
            ("HTTP/1.0 407 \r\n", "Refused(407)"),
            ("HTTP/1.1 502", "Refused(502)"),
            ("", "without an answer"),
            ("HTTP/1.1 200 OK\r\n", "not HTTP"),
            ("HTTP/1.1 200 OK\r\n\r\nearly", "not HTTP"),
            ("SSH-2.0-x\r\n\r\n", "not HTTP"),
            (&"x".repeat(40_000), "not HTTP"),
        ] {
            let error = format!("{:?}", ask(answer).await.0.unwrap_err());
            assert!(error.contains(expected), "{answer:.20}: {error}");
        }
    }
}
