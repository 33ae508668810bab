//! Checks slow clients, invalid requests, models that cannot be served, and overload of the server.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit, setrlimit};
use serde_json::{Value, json};

use super::super::{Machine, copy_of, iris, sample};
use super::http::{self, Answer, read, request};
use super::{Served, run_local};

/// A valid scoring request for the demo model.
const ROWS: &str = r#"{"dataframe_split": {"data": [[5.1, 3.5, 1.4, 0.2]], "columns": ["sepal length (cm)",
    "sepal width (cm)", "petal length (cm)", "petal width (cm)"]}}"#;

/// A scoring request with a number so large that the counting model does not reach it in any test.
const FOREVER: &str = r#"{"inputs": [4611686018427387904]}"#;

/// A scoring request that makes the counting model count to seven.
const SEVEN: &str = r#"{"inputs": [7]}"#;

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error_code"].as_str().unwrap_or_default().to_owned())
}

fn is_served(served: &Served) {
    let answer = served.predict(SEVEN);
    assert_eq!((answer.status, answer.json()), (200, json!({"predictions": {"last": 7}})));
}

#[test]
fn slow_client_is_disconnected() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "-C timeout=2");
    let mut half_a_head = TcpStream::connect(served.address).unwrap();
    half_a_head.write_all(b"POST /invocations HTTP/1.1\r\nHost: te").unwrap();
    let half_a_body = served.begin(SEVEN, 4);
    let late = read(&half_a_body, false).unwrap();
    assert_eq!((late.status, late.body.as_str()), (504, "Request processing time exceeded limit"));
    assert_eq!(read(&half_a_head, false), None);
    is_served(&served);
}

#[test]
fn prediction_is_stopped_at_its_timeout() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "-C timeout=2 -C sessions=1");
    let late = served.predict(FOREVER);
    assert_eq!((late.status, late.body.as_str()), (504, "Request processing time exceeded limit"));
    // The only session is available again.
    is_served(&served);
}

/// The model's output is ten billion empty lists. They take no memory in ONNX Runtime, but tens of gigabytes as JSON
/// text.
#[test]
fn output_above_the_size_limit_is_an_error() {
    let machine = Machine::new();
    let served = Served::start(&sample("ones"), &machine, "");
    for shape in [json!([10_000_000_000_i64, 0]), json!([0, 10_000_000_000_i64])] {
        let answer = served.predict(&json!({"inputs": shape}).to_string());
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert_eq!((answer.status, message.contains("too large for an answer")), (400, true), "{message}");
    }
    let answer = served.predict(r#"{"inputs": [1, 2]}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({"predictions": {"y": [[1, 1]]}})));
}

#[test]
fn prediction_is_stopped_when_its_client_disconnects() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "-C sessions=1");
    drop(served.begin(FOREVER, FOREVER.len()));
    is_served(&served);
}

#[test]
fn body_above_the_limit_is_rejected() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "-C max_request_bytes=1000");
    let too_long = (413, "BAD_REQUEST".to_owned());
    // The client sends the whole body before it reads the response. The body is larger than the socket buffers.
    let body = format!("{SEVEN}{}", " ".repeat(32 << 20));
    assert_eq!(code(&served.predict(&body)), too_long);

    let mut in_chunks = TcpStream::connect(served.address).unwrap();
    let head = "POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    in_chunks.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
    (0..100).for_each(|_| in_chunks.write_all(chunk.as_bytes()).unwrap());
    in_chunks.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(code(&read(&in_chunks, false).unwrap()), too_long);

    // With `Expect: 100-continue`, the server rejects the request before the client sends the body.
    let mut asks = TcpStream::connect(served.address).unwrap();
    asks.write_all(format!("{head}Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(code(&read(&asks, false).unwrap()), too_long);
    is_served(&served);
}

#[test]
fn invalid_http_is_rejected() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "");
    let long_header = format!("GET /ping HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many_headers = format!("GET /ping HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(1000));
    let garbage: [&[u8]; 7] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /invocations HTTP/9.9\r\n\r\n",
        long_header.as_bytes(),
        many_headers.as_bytes(),
    ];
    for garbage in garbage {
        let mut connection = TcpStream::connect(served.address).unwrap();
        // The server may close the connection before it has read all bytes, so the write may fail.
        let _sent = connection.write_all(garbage).and_then(|()| connection.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        let _closed = connection.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    is_served(&served);
}

#[test]
fn thousand_concurrent_requests_get_responses() {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap();
    let machine = Machine::new();
    let served = Served::start(&iris(), &machine, "");
    let bytes = request("POST", "/invocations", Some("application/json"), ROWS.as_bytes());
    let (last, rest) = bytes.split_last().unwrap();
    let mut connections: Vec<_> = (0..1000).map(|_| TcpStream::connect(served.address).unwrap()).collect();
    // The server does not respond before it has received the rest of a request.
    connections.iter_mut().for_each(|connection| connection.write_all(rest).unwrap());
    connections.iter_mut().for_each(|connection| connection.write_all(&[*last]).unwrap());
    for connection in &connections {
        let answer = read(connection, false).unwrap();
        assert_eq!((answer.status, &answer.json()["predictions"][0]["label"]), (200, &json!(0)));
    }
}

#[test]
fn connections_above_the_file_limit_wait() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "-C sessions=1");
    let few = Rlimit { current: Some(40), maximum: Some(40) };
    prlimit(Some(served.process()), Resource::Nofile, few).unwrap();
    let bytes = request("POST", "/invocations", Some("application/json"), SEVEN.as_bytes());
    let mut connections: Vec<_> = (0..100).map(|_| TcpStream::connect(served.address).unwrap()).collect();
    connections.iter_mut().for_each(|connection| connection.write_all(&bytes).unwrap());
    for connection in &connections {
        assert_eq!(read(connection, false).unwrap().status, 200);
    }
    served.signal(Signal::INT);
    let ran = served.end();
    assert!(ran.stderr.contains("failed to accept a connection"), "{ran:?}");
}

#[test]
fn requests_above_the_limit_are_rejected() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "-C max_requests=1");
    let mut first = served.begin(SEVEN, 4);
    // The server rejects another request only while the first request runs.
    let refused = loop {
        let answer = served.predict(SEVEN);
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(code(&refused), (503, "TEMPORARILY_UNAVAILABLE".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(http::ask(served.address, &request("GET", "/health", None, b"")).status, 200);
    first.write_all(&SEVEN.as_bytes()[4..]).unwrap();
    assert_eq!(read(&first, false).unwrap().status, 200);
    is_served(&served);
}

#[test]
fn port_in_use_is_an_error_with_the_port() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "");
    let port = served.address.port();
    let again = super::super::ask("run-local --json --name iris -m", &machine.state_dir()).arg(sample("counts"));
    let ran = again.arg("-C").arg(format!("port={port}")).run();
    assert_eq!((ran.code, &ran.error()["code"]), (1, &json!("RESOURCE_ALREADY_EXISTS")), "{ran:?}");
    assert_eq!(
        ran.error()["message"],
        format!(
            "the address 127.0.0.1:{port} is in use: stop the process that listens there, or choose another port with \
             the config `port` (0 for any free port)"
        )
    );
    is_served(&served);
}

#[test]
fn failure_to_serve_is_reported_and_leaves_nothing_behind() {
    let machine = Machine::new();
    let broken = copy_of(&iris());
    std::fs::write(broken.path().join("model.onnx"), b"no model").unwrap();
    let cases: [(&std::path::Path, &str, &str, &str); 6] = [
        (broken.path(), "", "INVALID_PARAMETER_VALUE", "is damaged or not an ONNX model"),
        (std::path::Path::new("/nowhere"), "", "RESOURCE_DOES_NOT_EXIST", "no model at `/nowhere`"),
        (
            &iris(),
            "-C timeout=0",
            "INVALID_PARAMETER_VALUE",
            "the config's `timeout` is `0`: expected a number of seconds",
        ),
        (&iris(), "-C sessions=0", "INVALID_PARAMETER_VALUE", "expected a whole number from 1"),
        (
            &iris(),
            "-C host=no.such.host.invalid",
            "INVALID_PARAMETER_VALUE",
            "failed to listen at no.such.host.invalid",
        ),
        (&iris(), "-f sklearn", "INVALID_PARAMETER_VALUE", "the model has no flavor `sklearn`: it has `onnx`"),
    ];
    for (model, arguments, code, message) in cases {
        let ran = run_local(model, &machine, &format!("--json {arguments}")).run();
        let error: Value = ran.error();
        assert_eq!(error["code"], code, "{arguments}: {ran:?}");
        assert!(error["message"].as_str().unwrap().contains(message), "{arguments}: {ran:?}");
        assert_eq!((ran.stdout.as_str(), machine.copies()), ("", 0), "{arguments}");
    }
    let ran = run_local(&iris(), &machine, "-C prot=1").run();
    assert!(ran.stderr.contains("prot") && ran.code == 2, "{ran:?}");
}
