//! A minimal HTTP client that can send invalid requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

/// A response that the server has sent.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    /// Returns the value of the header `name`, which has to be in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// Parses the body as JSON. Reads Python's `NaN` as null.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body.replace("NaN", "null")).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Returns the bytes of an HTTP request with the header `Connection: close`.
pub(super) fn request(method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let content_type = content_type.map(|value| format!("Content-Type: {value}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{content_type}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends the bytes of a request on a new connection. Returns the response.
pub(super) fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(request).unwrap();
    read(&connection, request.starts_with(b"HEAD")).expect("an answer")
}

/// Reads a response from a connection. Returns `None` if the server closes the connection without a response.
pub(super) fn read(connection: &TcpStream, is_head: bool) -> Option<Answer> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    // A reset of the connection also counts as closed.
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return None;
    }
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut answer = Answer { status, headers, body: String::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    if !is_head {
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
    }
    Some(answer)
}
