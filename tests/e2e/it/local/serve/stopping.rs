//! Checks the stop of a server by Ctrl-C, `SIGTERM` and `SIGKILL`, with and without pending requests.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::Signal;

use super::super::{Machine, iris, sample};
use super::Served;
use super::http::{self, read, request};

const SEVEN: &str = r#"{"inputs": [7]}"#;

/// Waits until the server does not accept connections.
fn closed(served: &Served) {
    while TcpStream::connect(served.address).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn pending_request_is_completed_before_the_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let machine = Machine::new();
        let served = Served::start(&sample("counts"), &machine, "");
        let mut idle = TcpStream::connect(served.address).unwrap();
        idle.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        assert_eq!(read(&idle, false).unwrap().status, 200);
        let mut connection = served.begin(SEVEN, 4);
        // The server accepts connections in order. So it has accepted the earlier connection when it responds here.
        assert_eq!(http::ask(served.address, &request("GET", "/ping", None, b"")).status, 200);
        served.signal(signal);
        closed(&served);
        connection.write_all(&SEVEN.as_bytes()[4..]).unwrap();
        let answer = read(&connection, false).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"predictions": {"last": 7}}"#));
        // An idle connection does not delay the end of the server.
        assert_eq!(read(&idle, false), None);
        let ran = served.end();
        let error: serde_json::Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
        assert_eq!((ran.code, error["error"]["message"].as_str()), (130, Some("interrupted")), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert_eq!(machine.copies(), 0);
    }
}

#[test]
fn endless_request_delays_the_end_only_up_to_a_limit() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "");
    let forever = r#"{"inputs": [4611686018427387904]}"#;
    let counting = served.begin(forever, forever.len());
    let half = served.begin(SEVEN, 4);
    assert_eq!(http::ask(served.address, &request("GET", "/ping", None, b"")).status, 200);
    served.signal(Signal::INT);
    let ran = served.end();
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("2 requests did not finish within 4 s and were cut off"), "{ran:?}");
    assert_eq!((read(&counting, false), read(&half, false)), (None, None));
    assert_eq!(machine.copies(), 0);
}

#[test]
fn second_interrupt_ends_the_server_at_once() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "");
    let half = served.begin(SEVEN, 4);
    assert_eq!(http::ask(served.address, &request("GET", "/ping", None, b"")).status, 200);
    served.signal(Signal::INT);
    closed(&served);
    served.signal(Signal::INT);
    let ran = served.end();
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(!ran.stderr.contains("cut off"), "{ran:?}");
    assert_eq!(read(&half, false), None);
}

#[test]
fn files_of_a_killed_server_are_removed_by_the_next() {
    let machine = Machine::new();
    let killed = Served::start(&iris(), &machine, "");
    assert_eq!(machine.copies(), 1);
    // The files of another running server are not deleted.
    let other = Served::start(&sample("counts"), &machine, "");
    assert_eq!(machine.copies(), 2);
    killed.signal(Signal::KILL);
    drop(killed);
    assert_eq!(machine.copies(), 2);
    let next = Served::start(&iris(), &machine, "");
    assert_eq!(machine.copies(), 2);
    assert_eq!(other.predict(SEVEN).status, 200);
    for served in [next, other] {
        served.signal(Signal::INT);
        served.end();
    }
    assert_eq!(machine.copies(), 0);
}

#[test]
fn access_log_is_written_if_requested() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "-v");
    assert_eq!(served.predict(SEVEN).status, 200);
    let secret = request("GET", "/nope?token=secret", None, b"");
    assert_eq!(http::ask(served.address, &secret).status, 404);
    served.signal(Signal::INT);
    let ran = served.end();
    assert!(ran.stderr.contains(r#"\"POST /invocations HTTP/1.1\" 200 OK, "#), "{ran:?}");
    assert!(ran.stderr.contains(r#"\"GET /nope HTTP/1.1\" 404 Not Found, "#), "{ran:?}");
    assert!(!ran.stderr.contains("secret"), "{ran:?}");
}
