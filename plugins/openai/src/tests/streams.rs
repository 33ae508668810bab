//! Tests streamed predictions.

use super::*;

/// Requests a streamed prediction. Returns the result of the operation and the text of each chunk.
async fn stream(server: &Server, inputs: &str) -> (Result<Payload>, Vec<String>) {
    let request = PredictStream::endpoint("m", inputs_of(inputs));
    let (answer, chunks) = natively(&plain(server), request).await;
    (answer, chunks.iter().map(|chunk| text(chunk).to_owned()).collect())
}

#[tokio::test]
async fn a_stream_is_requested_and_ends_with_done() {
    let server = Server::start([Answer::chunks([
        "data: {\"id\": \"1\"}\n",
        "\n: keep-alive\n\ndata:{\"id\": \"2\",\"choices\":[]}\n\n",
        "data: [DONE]\n\n",
    ])]);
    let (end, chunks) = stream(&server, r#"{"messages": [], "stream_options": {"include_usage": true}}"#).await;
    assert_eq!(
        (end, chunks),
        (Ok(Payload::empty()), vec![r#"{"id": "1"}"#.to_owned(), r#"{"id": "2","choices":[]}"#.to_owned()])
    );
    let sent = r#"{"model":"m","stream":true,"messages": [], "stream_options": {"include_usage": true}}"#;
    assert_eq!(
        (request_lines(&server), server.requests()[0].text().as_str()),
        (vec!["POST /v1/chat/completions".to_owned()], sent)
    );
}

#[tokio::test]
async fn the_responses_api_streams_typed_events_without_done() {
    let created = r#"{"type":"response.created","response":{"id":"r","error":null}}"#;
    let completed = r#"{"type":"response.completed","response":{"id":"r"}}"#;
    let events =
        format!("event: response.created\ndata: {created}\n\nevent: response.completed\ndata: {completed}\n\n");
    let server = Server::start([Answer::chunks([events])]);
    let (end, chunks) = stream(&server, r#"{"input":"hi","stream":false}"#).await;
    assert_eq!((end, chunks), (Ok(Payload::empty()), vec![created.to_owned(), completed.to_owned()]));
    assert_eq!(server.requests()[0].text(), r#"{"model":"m","input":"hi","stream":true}"#);
}

#[tokio::test]
async fn a_failed_stream_keeps_its_first_chunks() {
    let first = "data: {\"id\": \"1\"}\n\n";
    let error = "data: {\"error\":{\"message\":\"too much\",\"type\":\"server_error\",\"code\":\"overloaded\"}}\n\n";
    let failed =
        "event: error\ndata: {\"type\":\"error\",\"code\":\"overloaded\",\"message\":\"too much\",\"param\":null}\n\n";
    for last in [error, failed] {
        let server = Server::start([Answer::chunks([first, last, "data: {}\n\n"])]);
        let (end, chunks) = stream(&server, r#"{"messages":[]}"#).await;
        let end = end.unwrap_err();
        assert_eq!((end.message(), chunks.len()), ("the server ended the stream with an error: too much", 1));
        assert_eq!(end.details()["error_code"], "overloaded");
    }
    let server = Server::start([Answer::chunks([first]).abort_after_chunks()]);
    let (end, chunks) = stream(&server, r#"{"messages":[]}"#).await;
    assert_eq!((end.unwrap_err().code(), chunks.len()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, 1));
    assert_eq!(server.requests().len(), 1, "a stream that has started is not retried");
}

#[tokio::test]
async fn a_response_without_a_stream_is_one_chunk() {
    let (end, chunks) = stream(&Server::start([Answer::new(200, REPLY)]), r#"{"messages":[]}"#).await;
    assert_eq!((end, chunks), (Ok(Payload::empty()), vec![REPLY.to_owned()]));
    let (end, chunks) = stream(&Server::start([Answer::new(200, "{bad")]), r#"{"messages":[]}"#).await;
    assert!(end.unwrap_err().message().contains("the server did not answer with JSON"));
    assert!(chunks.is_empty());
}

#[tokio::test]
async fn a_busy_server_is_retried_before_the_first_event() {
    let server = Server::start([Answer::status(503), Answer::chunks(["data: {}\n\n"])]);
    let (end, chunks) = stream(&server, r#"{"messages":[]}"#).await;
    assert_eq!((end.is_ok(), chunks.len(), server.requests().len()), (true, 1, 2));
}
