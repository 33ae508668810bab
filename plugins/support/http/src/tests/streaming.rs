//! Tests of streamed responses, their chunks and their ends.

use mlflow_deploy_plugin_api::{ErrorCode, JSON};

use super::*;
use crate::ChunkStream;

/// Reads a stream to its end. Returns its chunks, and the error if the stream fails.
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
    assert!(chunks.is_empty() && error.unwrap().message().contains("an empty body"));
    let page = Answer::new(200, "<html><title>Login</title>").header("Content-Type", "text/html");
    let (_, error) = read(page, &policy()).await;
    assert!(error.unwrap().message().contains("a web page titled `Login`"));
}

/// Returns an answer with the content type `label` and this body, which is sent byte by byte.
fn labelled(label: Option<&str>, body: &[u8]) -> Answer {
    let answer = Answer::chunks(body.iter().map(|byte| [*byte]));
    match label {
        Some(label) => answer.header("Content-Type", label),
        None => answer.without_content_type(),
    }
}

#[tokio::test]
async fn the_bytes_of_a_body_decide_its_format() {
    let labels = [None, Some("application/json"), Some("text/plain"), Some("text/event-stream"), Some("text/html")];
    let two = ["{\"a\":1}", "{\"b\":2}"].map(str::to_owned).to_vec();
    for label in labels {
        for body in [
            "data: {\"a\":1}\n\ndata: {\"b\":2}\n\n",
            "\u{feff}\n: ping\n\nevent: m\ndata: {\"a\":1}\n\nid: 7\ndata: {\"b\":2}\n\ndata: [DONE]\n\n",
            "{\"a\":1}\n{\"b\":2}\n",
        ] {
            let (chunks, error) = read(labelled(label, body.as_bytes()), &policy()).await;
            assert_eq!((chunks, error), (two.clone(), None), "{label:?} {body:?}");
        }
        for body in ["{\"a\": [1,\n2]}", "\u{feff}{\"a\": [1,\n2]}"] {
            let (chunks, error) = read(labelled(label, body.as_bytes()), &policy()).await;
            assert_eq!((chunks, error), (vec!["{\"a\": [1,\n2]}".to_owned()], None), "{label:?}");
        }
    }
}

#[tokio::test]
async fn a_chunk_is_judged_as_a_whole_body() {
    let not_utf8 = b"{\"a\":\"\xf0\x9f\"}".as_slice();
    for (json, reason) in [
        (b"{\"a\":[NaN,-Infinity]}".as_slice(), None),
        ("\u{feff}{\"a\":1}".as_bytes(), None),
        (not_utf8, Some("not UTF-8")),
        (b"{\"a\":nan}", Some("expected ident at line 1")),
        (b"{\"a\":\"b", Some("EOF while parsing a string")),
        (b"{\"detail\":\"quota exceeded\"}", Some("quota exceeded")),
    ] {
        let event = [b"data: ", json, b"\n\n"].concat();
        let line = [json, b"\n"].concat();
        for answer in [
            labelled(Some("text/event-stream"), &event),
            labelled(Some("application/x-ndjson"), &line),
            labelled(Some("application/json"), json),
        ] {
            let (chunks, error) = read(answer, &policy()).await;
            assert_eq!((chunks.len(), error.is_some()), (usize::from(reason.is_none()), reason.is_some()), "{json:?}");
            let message = error.map(|error| error.message().to_owned()).unwrap_or_default();
            assert!(message.contains(reason.unwrap_or_default()), "{message}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_error() {
    let open = r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    let last = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    for (body, missing) in [
        (format!("{open}\n\n"), Some("ended without `[DONE]` or a `finish_reason`")),
        (format!("{open}\n\ndata: [DONE]\n\n"), None),
        (format!("{open}\n\n{last}\n\n"), None),
        ("data: {\"type\":\"response.created\"}\n\n".to_owned(), Some("ended without `response.completed`")),
    ] {
        let (chunks, error) = read(Answer::chunks([body]), &policy()).await;
        assert!(!chunks.is_empty());
        assert_eq!(error.is_some(), missing.is_some());
        if let (Some(error), Some(missing)) = (error, missing) {
            assert_eq!(error.code(), &ErrorCode::TEMPORARILY_UNAVAILABLE);
            assert!(error.message().contains(missing), "{error}");
        }
    }
}

#[tokio::test]
async fn an_empty_error_is_none() {
    for error in ["null", "\"\"", "{}", "[]", "false", "0.5", r#"{"message":"","code":null}"#] {
        let (chunks, failure) = read(Answer::chunks([format!("data: {{\"error\":{error}}}\n\n")]), &policy()).await;
        assert_eq!((chunks.len(), failure), (1, None), "{error}");
    }
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
