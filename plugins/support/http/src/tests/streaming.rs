//! Streams: their chunks and their ends.

use mlflow_deploy_plugin_api::{ErrorCode, JSON};

use super::*;
use crate::ChunkStream;

/// Returns the chunks of a stream and its error.
async fn read(answer: Answer, policy: &Policy) -> (Vec<String>, Option<Error>) {
    let server = Server::start([Answer::status(503), answer]);
    let client = Client::new(Connection::default());
    let mut stream = ChunkStream::open(&client, &request(Method::POST, &server.url()), policy).await.unwrap();
    let mut chunks = Vec::new();
    let error = loop {
        match stream.next().await {
            Ok(Some(chunk)) => chunks.push(String::from_utf8(chunk.into_bytes()).unwrap()),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert_eq!(stream.next().await, Ok(None), "the stream has ended");
    assert_eq!(server.requests().len(), 2);
    error.iter().for_each(assert_no_secret);
    (chunks, error)
}

#[tokio::test]
async fn a_stream_ends_at_done_or_at_the_end_of_its_body() {
    for last in ["data: [DONE]\n\ndata: {\"late\":1}\n\n", "data: [DONE]\n", "", ": bye\n\n"] {
        let answer = Answer::chunks(
            ["data: {\"a\":", "1}\n\nda", "ta: {\"b\":2}\r\n\r\n", "event: ping\n\n", last]
                .into_iter()
                .filter(|chunk| !chunk.is_empty()),
        );
        let (chunks, error) = read(answer, &policy()).await;
        assert_eq!((chunks, error), (vec!["{\"a\":1}".to_owned(), "{\"b\":2}".to_owned()], None), "{last:?}");
    }
}

#[tokio::test]
async fn an_incomplete_body_is_an_error() {
    let answer = Answer::chunks(["data: {\"a\":1}\n\n"]).abort_after_chunks();
    let (chunks, error) = read(answer, &policy()).await;
    assert_eq!(chunks, ["{\"a\":1}"]);
    let error = error.unwrap();
    assert!(error.message().contains("broke before the response was complete") && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn an_error_among_the_chunks_ends_the_stream() {
    for (data, code, message) in [
        (r#"{"error":{"message":"429: slow down","type":"HTTPException"}}"#, "RESOURCE_EXHAUSTED", "429: slow down"),
        (r#"{"error":{"message":"no","code":401}}"#, "UNAUTHENTICATED", "no"),
        (r#"{"error":"plain"}"#, "INTERNAL_ERROR", "plain"),
        (r#"{"type":"error","code":"server_error","message":"over"}"#, "INTERNAL_ERROR", "over"),
        (
            r#"{"type":"response.failed","response":{"id":"r","error":{"code":"x","message":"late"}}}"#,
            "INTERNAL_ERROR",
            "late",
        ),
    ] {
        let answer = Answer::chunks([format!("data: {{\"a\":1}}\n\ndata: {data}\n\ndata: {{\"b\":2}}\n\n")]);
        let (chunks, error) = read(answer, &policy()).await;
        let error = error.unwrap();
        assert_eq!((chunks, error.code().as_str()), (vec!["{\"a\":1}".to_owned()], code));
        assert_eq!(error.message(), format!("the server ended the stream with an error: {message}"));
        assert_eq!((error.http().unwrap().status, error.http().unwrap().body.as_str()), (200, data));
    }
    let (_, error) = read(Answer::chunks(["event: error\ndata: {\"message\":\"m\"}\n\n"]), &policy()).await;
    assert_eq!(error.unwrap().message(), "the server ended the stream with an error: m");
    let (chunks, error) = read(Answer::chunks(["data: {\"error\":null}\n\n"]), &policy()).await;
    assert_eq!((chunks.len(), error), (1, None));
}

#[tokio::test]
async fn a_chunk_that_is_not_json_is_an_error() {
    let (chunks, error) = read(Answer::chunks(["data: {\"a\":1}\n\n", "data: {bad\n\n"]), &policy()).await;
    assert_eq!(chunks.len(), 1);
    assert!(error.unwrap().message().starts_with("expected JSON in a stream, got `{bad`"));
}

#[tokio::test]
async fn a_response_without_streaming_is_one_chunk() {
    let (chunks, error) = read(Answer::new(200, "{\"a\": 1}"), &policy()).await;
    assert_eq!((chunks, error), (vec!["{\"a\": 1}".to_owned()], None));
    let (chunks, error) = read(Answer::status(200), &policy()).await;
    assert_eq!((chunks.len(), error), (0, None));
    let page = Answer::new(200, "<html><title>Login</title>").header("Content-Type", "text/html");
    let (_, error) = read(page, &policy()).await;
    assert!(error.unwrap().message().contains("a web page titled `Login`"));
}

#[tokio::test]
async fn an_endless_chunk_is_an_error() {
    let strict = Policy { max_response_bytes: 9, ..policy() };
    let answer = Answer::chunks((0..1000).map(|_| "[0, ")).header("Content-Type", "application/json");
    let (chunks, error) = read(answer, &strict).await;
    assert_eq!(chunks.len(), 0);
    assert!(error.unwrap().message().contains("the limit is 9"));
}

#[tokio::test]
async fn every_line_of_json_lines_is_a_chunk() {
    let answer =
        Answer::chunks(["{\"a\":1}\n{\"b\"", ":2}\r\n\n{\"c\":3}"]).header("Content-Type", "application/x-ndjson");
    let (chunks, error) = read(answer, &policy()).await;
    assert_eq!((chunks, error), (vec!["{\"a\":1}".to_owned(), "{\"b\":2}".to_owned(), "{\"c\":3}".to_owned()], None));
}

#[tokio::test]
async fn silence_between_chunks_is_an_error() {
    let answer = Answer::chunks(["data: 1\n\n", "data: 2\n\n"]).chunk_delay(LONG);
    let (chunks, error) = read(answer, &Policy { silence: SHORT, ..policy() }).await;
    assert_eq!((chunks, error.unwrap().code()), (vec!["1".to_owned()], &ErrorCode::DEADLINE_EXCEEDED));
}

#[tokio::test]
async fn a_stream_may_last_longer_than_the_silence_limit() {
    let answer = Answer::chunks((0..10).map(|index| format!("data: {index}\n\n"))).chunk_delay(SHORT / 8);
    let (chunks, error) = read(answer, &Policy { silence: SHORT, ..policy() }).await;
    assert_eq!((chunks.len(), error), (10, None));
}

#[tokio::test]
async fn open_fails_if_the_server_answers_with_an_error() {
    let server = Server::start([Answer::new(404, r#"{"detail":"no such"}"#)]);
    let client = Client::new(Connection::default());
    let opened = ChunkStream::open(&client, &request(Method::POST, &server.url()), &policy()).await;
    assert_eq!(opened.unwrap_err().code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
}

#[tokio::test]
async fn a_chunk_is_json_in_utf8() {
    let answer = Answer::chunks(["data: {\"t\": \"é\u{2028}\"}\n\n"])
        .header("Content-Type", "Text/Event-Stream; charset=iso-8859-1");
    let server = Server::start([answer]);
    let client = Client::new(Connection::default());
    let mut stream = ChunkStream::open(&client, &request(Method::POST, &server.url()), &policy()).await.unwrap();
    let chunk = stream.next().await.unwrap().unwrap();
    assert_eq!((chunk.content_type(), chunk.bytes()), (JSON, "{\"t\": \"é\u{2028}\"}".as_bytes()));
}
