//! Checks that each server starts, serves the replies of `tests/peers`, and stops when it is dropped.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Aimock, Gateway, PASSWORD, TrackingServer, UPSTREAM_KEY, USER};

const HELLO: &str = r#"{"messages":[{"role":"user","content":"hello"}]}"#;
const COUNT: &str = r#"{"messages":[{"role":"user","content":"count to ten"}],"stream":true}"#;

#[test]
fn aimock_requires_its_key() {
    let aimock = Aimock::start();
    let embed = r#"{"model":"any","input":"embed me"}"#;
    let reply = post(aimock.url(), "/v1/embeddings", embed, &format!("Authorization: Bearer {UPSTREAM_KEY}\r\n"));
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains("[0.25,-0.5,0.75]"), "{reply}");
    let reply = post(aimock.url(), "/v1/embeddings", embed, "Authorization: Bearer other\r\n");
    assert!(reply.starts_with("HTTP/1.1 401 "), "{reply}");
}

#[test]
fn gateway_serves_its_endpoints() {
    let gateway = Gateway::start();
    let reply = send(gateway.url(), "GET /api/2.0/endpoints/", "", "");
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains(r#""name":"chat-limited""#), "{reply}");
    assert_chat(gateway.url(), "/gateway/chat/invocations", "/gateway/chat-locked/invocations", "");

    let [first, second] = [(); 2].map(|()| post(gateway.url(), "/gateway/chat-limited/invocations", HELLO, ""));
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    assert!(second.starts_with("HTTP/1.1 429 "), "{second}");
}

#[test]
fn tracking_server_serves_its_endpoints() {
    let tracking = TrackingServer::start();
    let reply = send(tracking.url(), "GET /gateway/mlflow/v1/models", "", "");
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains(r#""id":"chat-locked""#), "{reply}");
    assert_chat(tracking.url(), "/gateway/chat/mlflow/invocations", "/gateway/chat-locked/mlflow/invocations", "");
}

#[test]
fn protected_tracking_server_requires_a_password() {
    let tracking = TrackingServer::start_protected();
    let reply = send(tracking.url(), "GET /gateway/mlflow/v1/models", "", "");
    assert!(reply.starts_with("HTTP/1.1 401 "), "{reply}");
    // `admin:a-password-for-tests`.
    assert_eq!((USER, PASSWORD), ("admin", "a-password-for-tests"));
    let basic = "Authorization: Basic YWRtaW46YS1wYXNzd29yZC1mb3ItdGVzdHM=\r\n";
    let locked = "/gateway/chat-locked/mlflow/invocations";
    assert_chat(tracking.url(), "/gateway/chat/mlflow/invocations", locked, basic);
}

#[test]
fn server_stops_when_dropped() {
    let aimock = Aimock::start();
    let address = aimock.url().trim_start_matches("http://").to_owned();
    TcpStream::connect(&address).unwrap();
    drop(aimock);
    TcpStream::connect(&address).unwrap_err();
}

#[track_caller]
fn assert_chat(url: &str, chat: &str, locked: &str, headers: &str) {
    let reply = post(url, chat, HELLO, headers);
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains("Hello from upstream."), "{reply}");
    let reply = post(url, chat, COUNT, headers);
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.matches("data: {").count() > 5, "{reply}");
    let reply = post(url, locked, HELLO, headers);
    assert!(reply.starts_with("HTTP/1.1 401 ") && reply.contains("Invalid API key"), "{reply}");
}

fn post(url: &str, path: &str, json: &str, headers: &str) -> String {
    send(url, &format!("POST {path}"), json, headers)
}

/// Sends an HTTP request to the server at `url`. Returns the raw response, including the sizes of chunks.
fn send(url: &str, start: &str, json: &str, headers: &str) -> String {
    let host = url.trim_start_matches("http://");
    let mut connection = TcpStream::connect(host).unwrap();
    write!(
        connection,
        "{start} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len(),
    )
    .unwrap();
    let mut reply = String::new();
    connection.read_to_string(&mut reply).unwrap();
    reply
}
