//! Checks responses that the client does not read. The server must close the connection and release its resources.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::super::{Machine, sample};
use super::Served;
use super::http::{read, request};

/// A scoring request whose response has many megabytes, more than the socket buffers hold.
const LARGE: &str = r#"{"inputs": [2000, 2000]}"#;

const SMALL: &str = r#"{"inputs": [1, 2]}"#;

/// Reads the rest of a response from a connection. Returns true if the response is complete.
fn is_whole(mut connection: &TcpStream) -> bool {
    let mut bytes = Vec::new();
    let ended = connection.read_to_end(&mut bytes);
    ended.is_ok() && bytes.ends_with(b"]]}}")
}

#[test]
fn unread_response_is_dropped_and_its_slot_released() {
    let machine = Machine::new();
    let served = Served::start(&sample("ones"), &machine, "-C timeout=3 -C max_requests=1");
    let unread = served.begin(LARGE, LARGE.len());
    // The unread response occupies its place until the timeout, so the server rejects other requests.
    let mut refused = 0;
    let free = loop {
        let answer = served.predict(SMALL);
        if answer.status == 503 {
            refused += 1;
        } else if refused > 0 {
            break answer;
        }
    };
    assert_eq!((free.status, free.json()), (200, json!({"predictions": {"y": [[1, 1]]}})));
    assert!(!is_whole(&unread));
}

#[test]
fn read_response_is_complete_and_the_connection_is_kept() {
    let machine = Machine::new();
    let served = Served::start(&sample("ones"), &machine, "-C max_requests=1");
    let mut connection = TcpStream::connect(served.address).unwrap();
    let bytes = request("POST", "/invocations", Some("application/json"), LARGE.as_bytes());
    let bytes = String::from_utf8(bytes).unwrap().replace("Connection: close\r\n", "");
    for _ in 0..2 {
        connection.write_all(bytes.as_bytes()).unwrap();
        let answer = read(&connection, false).unwrap();
        assert_eq!((answer.status, answer.body.ends_with("]]}}")), (200, true));
    }
    // Two pipelined requests get their responses in order.
    connection.write_all(bytes.repeat(2).as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let end = b"]]}}";
    while bytes.windows(end.len()).filter(|window| window == end).count() < 2 {
        let mut piece = vec![0; 1 << 20];
        let length = connection.read(&mut piece).unwrap();
        assert_ne!(length, 0);
        bytes.extend_from_slice(&piece[..length]);
        // The end of the second response is searched after the end of the first response.
        let first = bytes.windows(end.len()).position(|window| window == end);
        if let Some(first) = first.filter(|first| *first > 4) {
            bytes.drain(..first);
        }
    }
}
