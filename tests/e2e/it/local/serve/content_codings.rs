//! Checks request bodies that the client has compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::super::{Machine, sample};
use super::Served;
use super::http::{self, Answer, request};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Sends a scoring request with this body and `Content-Encoding`. Returns the response.
fn send(served: &Served, coding: &str, body: &[u8]) -> Answer {
    let coded = format!("application/json\r\nContent-Encoding: {coding}");
    http::ask(served.address, &request("POST", "/invocations", Some(&coded), body))
}

#[test]
fn compressed_body_is_decoded_within_the_limit() {
    let machine = Machine::new();
    let served = Served::start(&sample("times_2"), &machine, "-C max_request_bytes=2000");
    let inputs = r#"{"inputs": [1.5, 2.0]}"#;
    for (coding, body) in [("gzip", gzip(inputs)), ("GZIP", gzip(inputs)), ("identity", inputs.as_bytes().to_vec())] {
        let answer = send(&served, coding, &body);
        assert_eq!((answer.status, answer.json()), (200, json!({"predictions": {"y": [3.0, 4.0]}})), "{coding}");
    }
    // The compressed body is below the size limit, and the text is above it.
    let long = gzip(&format!("{{{}\"inputs\": [1.0]}}", " ".repeat(1_000_000)));
    assert!(long.len() < 2000);
    let refused = send(&served, "gzip", &long);
    assert_eq!(refused.status, 413, "{refused:?}");
    assert!(refused.body.contains("the body is longer than 2000 bytes"), "{refused:?}");
    let damaged = send(&served, "gzip", inputs.as_bytes());
    assert_eq!((damaged.status, damaged.json()["error_code"].as_str()), (400, Some("BAD_REQUEST")));
    assert!(damaged.body.contains("it is not valid gzip"), "{damaged:?}");
    for coding in ["br", "zstd", "gzip, br", "x-unknown"] {
        let refused = send(&served, coding, inputs.as_bytes());
        assert_eq!((refused.status, refused.header("accept-encoding")), (415, Some("gzip, deflate")), "{refused:?}");
        assert!(refused.body.contains(&format!("the content coding `{coding}` is not supported")), "{refused:?}");
    }
}

#[test]
fn utf_16_and_a_byte_order_mark_are_read_as_by_python() {
    let machine = Machine::new();
    let served = Served::start(&sample("times_2"), &machine, "");
    let text = "\u{feff}{\"inputs\": [1.5, NaN]}";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [text.as_bytes(), &wide] {
        let answer = http::ask(served.address, &request("POST", "/invocations", Some("application/json"), body));
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\"predictions\": {\"y\": [3.0, NaN]}}"));
    }
}
