//! The HTTP client for a Python scoring server. It converts the server's error responses to errors of this crate.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use jiter::{JsonValue, PartialMode};
use mlflow_deploy_http::{Client, Connection, Policy, content_type, request, send};
use mlflow_deploy_plugin_api::{Error, ErrorCode, HttpFailure, Payload, Result};
use url::Url;

/// The maximum size of the response to `/ping`, in bytes. Only the status of the response is used.
const MAX_PING_LEN: usize = 64 << 10;

/// An HTTP client for Python scoring servers on this machine.
pub(super) struct ScoringClient(Client);

impl ScoringClient {
    /// Creates a client. Opens no connection.
    pub(super) fn new() -> Self {
        Self(Client::new(Connection::default()))
    }

    /// Waits until the server at `address` answers `/ping`. Never returns if the request fails. The caller must detect
    /// that the server process has ended.
    pub(super) async fn wait_until_healthy(&self, address: SocketAddr) {
        let healthy = async {
            let ping = request(Method::GET, &url(address, "ping")?, HeaderMap::new(), "")?;
            send(&self.0, &ping, &Policy { max_response_bytes: MAX_PING_LEN, ..no_retries() }).await
        };
        if healthy.await.is_err() {
            pending::<()>().await;
        }
    }

    /// Requests predictions from the server at `address`. Sends the inputs and returns the response body unchanged.
    ///
    /// # Errors
    /// Fails with the error that the server reports. If the server does not respond, fails with an error that has no
    /// HTTP status. Such an error is retryable if the server has not received the request.
    pub(super) async fn predict(&self, address: SocketAddr, inputs: &Payload) -> Result<Payload> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type(inputs.content_type())?)]);
        let request = request(Method::POST, &url(address, "invocations")?, headers, inputs.bytes().to_vec())?;
        match send(&self.0, &request, &no_retries()).await {
            Ok(response) => Ok(response.payload),
            Err(error) => Err(match error.http().cloned() {
                Some(http) => server_error(&error, http),
                None => error,
            }),
        }
    }
}

/// Returns a retry policy without retries. It sets no timeout, because the caller's timeout applies.
fn no_retries() -> Policy {
    Policy { silence: Duration::MAX, max_retries: 0, follow_redirects: false, ..Policy::default() }
}

fn url(address: SocketAddr, path: &str) -> Result<Url> {
    let url = format!("http://{address}/{path}");
    url.parse().map_err(|error| Error::internal(format!("`{url}` is not a URL: {error}")))
}

/// Converts an error response of the server. Keeps the server's message, and adds the HTTP status and the other members
/// of its JSON body as details.
fn server_error(error: &Error, http: HttpFailure) -> Error {
    // A long body, with a stack trace at its end, was truncated and marked with `…`, perhaps within an escape sequence.
    let body = http.body.trim_end_matches('…');
    let json = JsonValue::parse_with_config(body.as_bytes(), true, PartialMode::TrailingStrings);
    let text = |name: &str| {
        let Ok(JsonValue::Object(members)) = &json else { return None };
        let member = members.iter().find(|(key, _)| key == name);
        member.and_then(|(_, value)| if let JsonValue::Str(text) = value { Some(text.to_string()) } else { None })
    };
    let (code, message) = match (text("error_code"), text("message")) {
        (Some(code), Some(message)) => (ErrorCode::new(code), message),
        _ if http.body.trim().is_empty() => (error.code().clone(), error.message().to_owned()),
        _ if http.status == 415 => (ErrorCode::INVALID_PARAMETER_VALUE, http.body.trim().to_owned()),
        _ => (error.code().clone(), http.body.trim().to_owned()),
    };
    let details = ["sqlstate", "error_class"].map(|key| (key, text(key)));
    let converted = Error::new(code, message).with_detail("http_status", http.status);
    let details = details.into_iter().filter_map(|(key, value)| Some((key, value?)));
    details.fold(converted, |error, (key, value)| error.with_detail(key, value)).with_http(http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(status: u16, body: &str) -> Error {
        let error = Error::new(ErrorCode::BAD_REQUEST, "400 Client Error");
        server_error(&error, HttpFailure::new(status, body))
    }

    #[test]
    fn the_server_s_code_message_and_details_are_kept() {
        let error = converted(
            400,
            r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "no \u00e9", "sqlstate": "KAM01",
                "error_class": "SCHEMA_ENFORCEMENT_FAILED", "stack_trace": "Traceback (most re…"#,
        );
        assert_eq!((error.code(), error.message()), (&ErrorCode::INVALID_PARAMETER_VALUE, "no é"));
        assert_eq!(error.http_status(), Some(400));
        assert_eq!(error.details()["sqlstate"], "KAM01");
        assert_eq!(error.details()["error_class"], "SCHEMA_ENFORCEMENT_FAILED");
    }

    #[test]
    fn a_truncated_error_is_parsed() {
        let whole = r#"{"error_code": "BAD_REQUEST", "message": "no", "stack_trace": "File \"a\", \u00e9\n"}"#;
        for end in whole.find("File").unwrap()..whole.len() {
            let error = converted(400, &format!("{}…", &whole[..end]));
            assert_eq!(error.message(), "no", "{}", &whole[..end]);
        }
    }

    #[test]
    fn an_error_without_json_becomes_the_message() {
        let error = converted(415, "This predictor only supports JSON\n");
        assert_eq!(
            (error.code(), error.message()),
            (&ErrorCode::INVALID_PARAMETER_VALUE, "This predictor only supports JSON")
        );
        assert_eq!(error.details()["http_status"], 415);
        assert_eq!(converted(500, "").message(), "400 Client Error");
        assert_eq!(converted(500, "[1]").message(), "[1]");
    }

    /// Starts a test server that answers one request. It sends `start`, and then repeats `more` until the client
    /// disconnects.
    fn server(start: &'static str, more: &'static str) -> (SocketAddr, std::thread::JoinHandle<()>) {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move || {
            let (mut connection, _) = listener.accept().unwrap();
            let _request = connection.read(&mut [0; 4096]).unwrap();
            let mut answered = connection.write_all(start.as_bytes());
            while answered.is_ok() && !more.is_empty() {
                answered = connection.write_all(more.as_bytes());
            }
        };
        (address, std::thread::spawn(answer))
    }

    const ENDLESS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    #[tokio::test]
    async fn a_malformed_response_is_an_error() {
        for (start, more) in [
            ("HTTP/1.1 200 OK\r\n", "x-more: and more\r\n"),
            ("HTTP/1.1 200 ", "OK"),
            ("HTTP/1.1 2000 OK\r\n\r\n", ""),
            ("SSH-2.0-OpenSSH\r\n", ""),
            ("\0\0\0\0", "\0"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", ""),
            ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}", ""),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}", ""),
            ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", ""),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffffffff\r\n", ""),
        ] {
            let (address, server) = server(start, more);
            let answer = ScoringClient::new().predict(address, &Payload::new("application/json", "{}")).await;
            let error = answer.map(|payload| String::from_utf8_lossy(payload.bytes()).into_owned()).unwrap_err();
            assert!(!error.message().contains(char::is_control), "{start:?}: {error}");
            server.join().unwrap();
        }
    }

    #[tokio::test]
    async fn an_endless_ping_response_is_not_read_to_its_end() {
        let (address, server) = server(ENDLESS, "4\r\nping\r\n");
        let client = ScoringClient::new();
        let closed = mlflow_deploy_plugin_api::blocking(move || server.join().map_err(|_panic| Error::internal("")));
        tokio::select! {
            () = client.wait_until_healthy(address) => panic!("the server is reported as healthy"),
            closed = closed => closed.unwrap(),
        }
    }
}
