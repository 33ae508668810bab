//! Checks streams and their connections. If a caller does not read a stream, the server has to wait. If a caller drops
//! a stream, its connection is closed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mlflow_deploy::args::PredictStream;
use mlflow_deploy::{Host, Payload};
use mlflow_deploy_test_support::cdylib;

/// Starts a server that sends the beginning of a stream and then calls `go_on` with the connection. Returns the target
/// URI of the server, and the server's thread.
fn server<T: Send + 'static>(go_on: impl FnOnce(TcpStream) -> T + Send + 'static) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("openai://{}/v1", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = BufReader::new(connection.try_clone().unwrap());
        let mut line = String::new();
        let mut length = 0;
        while request.read_line(&mut line).unwrap() > 2 {
            let value = line.to_ascii_lowercase().strip_prefix("content-length:").map(|value| value.trim().to_owned());
            length = value.map_or(length, |value| value.parse().unwrap());
            line.clear();
        }
        request.read_exact(&mut vec![0; length]).unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"n\":0}\n\n").unwrap();
        go_on(connection)
    });
    (target, thread)
}

fn request() -> PredictStream {
    let inputs = Payload::new("application/json", r#"{"messages":[]}"#);
    PredictStream { endpoint: Some("m".to_owned()), inputs, ..PredictStream::default() }
}

#[tokio::test]
async fn dropped_stream_closes_its_connection_within_100_ms() {
    let host = Host::builder().plugin(cdylib::path("mlflow-deploy-openai")).build();
    let mut fastest = Duration::MAX;
    // A busy machine delays some attempts, so only one of them has to be fast.
    for _ in 0..100 {
        let (target, server) = server(|mut connection| {
            // The client does not send more bytes, so the read waits for the end of the connection.
            let _reset = connection.read(&mut [0]);
            Instant::now()
        });
        let client = host.get_deploy_client(Some(&target)).await.unwrap();
        let mut stream = client.predict_stream(&request()).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().bytes(), b"{\"n\":0}");
        let dropped = Instant::now();
        drop(stream);
        fastest = fastest.min(server.join().unwrap().duration_since(dropped));
        if fastest < Duration::from_millis(100) {
            return;
        }
    }
    panic!("the fastest attempt took {fastest:?}");
}

#[tokio::test]
async fn caller_that_does_not_read_stops_the_server() {
    const EVENT: usize = 64 * 1024;
    const ALL: usize = 256 * 1024 * 1024;
    let (target, server) = server(|mut connection| {
        connection.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let event = format!("data: {{\"text\":\"{}\"}}\n\n", "x".repeat(EVENT));
        (0..ALL / EVENT).take_while(|_| connection.write_all(event.as_bytes()).is_ok()).count() * EVENT
    });
    let host = Host::builder().plugin(cdylib::path("mlflow-deploy-openai")).build();
    let client = host.get_deploy_client(Some(&target)).await.unwrap();
    let stream = client.predict_stream(&request()).unwrap();
    let sent = server.join().unwrap();
    assert!(sent < ALL / 8, "the client accepted {sent} bytes that the caller did not read");
    drop(stream);
}
