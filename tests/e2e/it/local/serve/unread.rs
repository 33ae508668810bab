//! Answers that nobody reads: their connections are closed, and what they held is free again.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::super::{Machine, sample};
use super::Served;
use super::http::{read, request};

/// An answer of many megabytes: more than two sockets keep.
const LARGE: &str = r#"{"inputs": [2000, 2000]}"#;

const SMALL: &str = r#"{"inputs": [1, 2]}"#;

/// All that still comes; true where the answer's end is among it.
fn is_whole(mut connection: &TcpStream) -> bool {
    let mut bytes = Vec::new();
    let ended = connection.read_to_end(&mut bytes);
    ended.is_ok() && bytes.ends_with(b"]]}}")
}

#[test]
fn an_answer_that_is_not_read_is_dropped_and_its_place_is_free() {
    let machine = Machine::new();
    let served = Served::start(&sample("ones"), &machine, "-C timeout=3 -C max_requests=1");
    let unread = served.begin(LARGE, LARGE.len());
    // It has its place until its time is up, and no longer.
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
fn an_answer_that_is_read_is_whole_and_the_connection_goes_on() {
    let machine = Machine::new();
    let served = Served::start(&sample("ones"), &machine, "-C max_requests=1");
    let mut connection = TcpStream::connect(served.address).unwrap();
    let asked = request("POST", "/invocations", Some("application/json"), LARGE.as_bytes());
    let asked = String::from_utf8(asked).unwrap().replace("Connection: close\r\n", "");
    for _ in 0..2 {
        connection.write_all(asked.as_bytes()).unwrap();
        let answer = read(&connection, false).unwrap();
        assert_eq!((answer.status, answer.body.ends_with("]]}}")), (200, true));
    }
    // Two at once are answered one after the other.
    connection.write_all(asked.repeat(2).as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let end = b"]]}}";
    while bytes.windows(end.len()).filter(|window| window == end).count() < 2 {
        let mut piece = vec![0; 1 << 20];
        let length = connection.read(&mut piece).unwrap();
        assert_ne!(length, 0);
        bytes.extend_from_slice(&piece[..length]);
        // The first one's end is enough to look for the second's.
        let first = bytes.windows(end.len()).position(|window| window == end);
        if let Some(first) = first.filter(|first| *first > 4) {
            bytes.drain(..first);
        }
    }
}
