//! Tests predictions and streamed predictions.

use super::*;

const REPLY: &str = r#"{"id": "c1", "choices": [{"index": 0, "message": {"content": "hi"}}], "score": NaN}"#;

/// Requests a streamed prediction. Returns the result of the operation and the text of each chunk.
async fn stream(client: &Databricks, endpoint: &str, inputs: &str) -> (Result<Payload>, Vec<String>) {
    let inputs = Payload::new("application/json", inputs);
    let request = PredictStream::endpoint(endpoint, inputs);
    let (answer, chunks) = natively(client, request).await;
    (answer, chunks.iter().map(|chunk| text(chunk).to_owned()).collect())
}

#[tokio::test]
async fn inputs_and_predictions_are_unchanged() {
    let server = Server::start([Answer::new(200, REPLY)]);
    let answer = plain(&server.url()).predict(predict("my endpoint/v1")).await.unwrap();
    assert_eq!(text(&answer), REPLY);
    let request = &server.requests()[0];
    assert_eq!(request_lines(&server.requests()), ["POST /serving-endpoints/my%20endpoint%2Fv1/invocations"]);
    assert_eq!((request.body.as_slice(), request.header("content-type")), (chat().bytes(), Some("application/json")));
}

#[tokio::test]
async fn a_whole_prediction_requests_no_stream() {
    let server = Server::start([Answer::new(200, REPLY)]);
    let inputs = Payload::new("application/json", r#"{"messages":[],"stream":true,"stream_options":{}}"#);
    plain(&server.url()).predict(Predict { inputs, ..predict("chat") }).await.unwrap();
    assert_eq!(server.requests()[0].text(), r#"{"messages":[],"stream":false}"#);
}

#[tokio::test]
async fn a_missing_endpoint_or_input_is_an_error() {
    let server = Server::start([Answer::new(200, "{}")]);
    let client = plain(&server.url());
    for request in [
        Predict { endpoint: None, ..predict("") },
        predict(""),
        Predict { inputs: Payload::empty(), ..predict("chat") },
    ] {
        assert_eq!(client.predict(request).await.unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    }
    assert!(server.requests().is_empty());
    client.predict(Predict { endpoint: None, deployment_name: Some("a".to_owned()), ..predict("") }).await.unwrap();
    assert_eq!(request_lines(&server.requests()), ["POST /serving-endpoints/a/invocations"]);
}

#[tokio::test]
async fn an_empty_response_and_a_web_page_are_errors() {
    for empty in [Answer::status(204), Answer::status(200)] {
        let server = Server::start([empty]);
        let error = plain(&server.url()).predict(predict("chat")).await.unwrap_err();
        assert!(error.message().contains("an empty body"), "{error}");
    }
    let server = Server::start([Answer::new(200, "<html><title>Sign in</title>").header("Content-Type", "text/html")]);
    let error = plain(&server.url()).predict(predict("chat")).await.unwrap_err();
    assert!(error.message().contains("a web page titled `Sign in`"), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_retried_and_a_failure_is_not() {
    let server = Server::start([Answer::new(503, "busy"), Answer::new(429, "slow down"), Answer::new(200, REPLY)]);
    plain(&server.url()).predict(predict("chat")).await.unwrap();
    assert_eq!(server.requests().len(), 3);
    for (answer, times) in [(Answer::status(500), 1), (Answer::status(422), 1), (Answer::dropped(), 1)] {
        let server = Server::start([answer]);
        plain(&server.url()).predict(predict("chat")).await.unwrap_err();
        assert_eq!(server.requests().len(), times);
    }
    let server = Server::start([Answer::dropped()]);
    let options = json!({"host": server.url(), "token": TOKEN, "retry_post": true});
    client("databricks", &options, &[]).unwrap().predict(predict("chat")).await.unwrap_err();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_workspace_answers_predict_and_predict_stream() {
    let workspace = databricks::Databricks::start();
    let client = plain(&workspace.url());
    client.create_endpoint(create("chat", &json!({}))).await.unwrap();
    let early = client.predict(predict("chat")).await.unwrap_err();
    assert_eq!(early.code().as_str(), "INVALID_STATE");
    for _poll in 0..3 {
        client.get_endpoint(get("chat")).await.unwrap();
    }
    let answer: Value = client.predict(predict("chat")).await.unwrap().json().unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
    let (end, chunks) = stream(&client, "chat", r#"{"messages":[{"content":"one two"}], "stream": false }"#).await;
    assert_eq!((end.unwrap(), chunks.len()), (Payload::empty(), 2));
    let sent = workspace.requests().pop().unwrap();
    assert_eq!(sent.text(), r#"{"messages":[{"content":"one two"}], "stream": true }"#);
}

#[tokio::test]
async fn every_form_of_event_is_parsed() {
    let events = ": ping\nevent: message\nid: 1\nretry: 5\ndata: {\"a\":\ndata: 1}\n\ndata: {\"t\": \"a\u{2028}b\u{85}c\"}\r\n\r\ndata: [DONE]\n\n";
    let server = Server::start([Answer::chunks([events])]);
    let (end, chunks) = stream(&plain(&server.url()), "chat", "{}").await;
    assert_eq!((end, chunks.len()), (Ok(Payload::empty()), 2));
    assert_eq!(chunks[1], "{\"t\": \"a\u{2028}b\u{85}c\"}");
}

#[tokio::test]
async fn a_failed_stream_ends_with_the_server_s_error() {
    let one = "data: {\"id\": \"1\"}\n\n";
    for (answer, code, chunks) in [
        (Answer::chunks([one]).abort_after_chunks(), "TEMPORARILY_UNAVAILABLE", 1),
        (Answer::chunks([one, "data: {\"error\":{\"message\":\"boom\"}}\n\n"]), "INTERNAL_ERROR", 1),
        (Answer::new(200, "OK").header("Content-Type", "text/plain"), "INTERNAL_ERROR", 0),
        (Answer::new(404, r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no"}"#), "RESOURCE_DOES_NOT_EXIST", 0),
    ] {
        let server = Server::start([answer]);
        let (end, got) = stream(&plain(&server.url()), "chat", "{}").await;
        assert_eq!((end.unwrap_err().code().as_str(), got.len()), (code, chunks));
    }
    let server = Server::start([Answer::status(200)]);
    let (end, _) = stream(&plain(&server.url()), "chat", "[1]").await;
    assert_eq!(end.unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    assert!(server.requests().is_empty());
}
