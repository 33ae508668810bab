//! Tests predictions and streamed predictions.

use super::*;

const REPLY: &str = r#"{"id": "c1", "choices": [{"index": 0, "message": {"content": "hi"}}], "score": NaN}"#;

/// Requests a streamed prediction. Returns the result of the operation and the text of each chunk.
async fn stream(client: &Gateway, endpoint: &str, inputs: &str) -> (Result<Payload>, Vec<String>) {
    let request = PredictStream::endpoint(endpoint, Payload::new("application/json", inputs));
    let (answer, chunks) = natively(client, request).await;
    (answer, chunks.iter().map(|chunk| text(chunk).to_owned()).collect())
}

#[tokio::test]
async fn inputs_and_predictions_are_unchanged() {
    let server = Server::start([Answer::new(200, REPLY)]);
    let answer = plain(&server).predict(predict("my endpoint/v1")).await.unwrap();
    assert_eq!(text(&answer), REPLY);
    let request = &server.requests()[0];
    assert_eq!(request_lines(&server), ["POST /endpoints/my%20endpoint%2Fv1/invocations"]);
    assert_eq!((request.body.as_slice(), request.header("content-type")), (chat().bytes(), Some("application/json")));
    assert_eq!(request.header("user-agent"), Some(concat!("mlflow-deploy/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn any_json_is_a_prediction_and_an_empty_body_is_an_error() {
    for body in ["[1, 2]", "null", "\"text\"", "\u{feff}{\"a\":1}"] {
        let server = Server::start([Answer::new(200, body)]);
        let answer = plain(&server).predict(predict("chat")).await.unwrap();
        assert_eq!(text(&answer), body.trim_start_matches('\u{feff}'), "a byte order mark is removed");
    }
    for empty in [Answer::status(204), Answer::status(200)] {
        let server = Server::start([empty]);
        let error = plain(&server).predict(predict("chat")).await.unwrap_err();
        assert!(error.message().contains("an empty body"), "{error}");
    }
}

#[tokio::test]
async fn a_response_that_is_not_json_is_an_error() {
    let page = Answer::new(200, "<html><title>Sign in</title>").header("Content-Type", "text/html");
    let other = Answer::new(200, "OK").header("Content-Type", "text/plain; charset=utf-8");
    let events = Answer::chunks(["data: {}\n\n"]);
    for (answer, message) in [
        (page, "a web page titled `Sign in`"),
        (other, "`text/plain`"),
        (events, "although a whole one was requested: use `predict_stream`"),
        (Answer::new(200, r#"{"choices": [{"mess"#), "the server did not answer with JSON: EOF while parsing a string"),
        (Answer::new(200, b"{\"a\": \"\xe2\x82\"}"), "the server did not answer with JSON: it is not UTF-8"),
        (Answer::new(200, r#"{"error": "no such route"}"#), "the server answered with an error: no such route"),
    ] {
        let server = Server::start([answer]);
        let error = plain(&server).predict(predict("chat")).await.unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_whole_prediction_requests_no_stream() {
    for (inputs, sent) in [
        (
            r#"{"messages": [], "stream": true, "stream_options": {"include_usage": true}}"#,
            r#"{"messages":[],"stream":false}"#,
        ),
        (r#"{"messages": [], "stream": 1}"#, r#"{"messages": [], "stream": false}"#),
        (r#"{"messages": [] , "stream":false}"#, r#"{"messages": [] , "stream":false}"#),
        (r#"[{"stream": true}]"#, r#"[{"stream": true}]"#),
    ] {
        let server = Server::start([Answer::new(200, "{}")]);
        let inputs = Payload::new("application/json", inputs);
        plain(&server).predict(Predict { inputs, ..predict("chat") }).await.unwrap();
        assert_eq!(server.requests()[0].text(), sent);
    }
}

#[tokio::test]
async fn an_error_of_the_model_s_own_is_a_prediction() {
    for body in [r#"{"predictions": [3], "error": "low"}"#, r#"{"error": 0.02}"#, r#"{"choices": [], "error": {}}"#] {
        let server = Server::start([Answer::new(200, body)]);
        assert_eq!(text(&plain(&server).predict(predict("own")).await.unwrap()), body);
    }
}

#[tokio::test]
async fn the_endpoint_or_the_deployment_names_the_endpoint() {
    let server = Server::start([Answer::new(200, "{}")]);
    let client = plain(&server);
    let predict = |endpoint: Option<&str>, deployment: Option<&str>| {
        let (endpoint, deployment_name) = (endpoint.map(str::to_owned), deployment.map(str::to_owned));
        client.predict(Predict { endpoint, deployment_name, inputs: chat(), ..Predict::default() })
    };
    predict(Some("a"), None).await.unwrap();
    predict(None, Some("b")).await.unwrap();
    predict(Some("c"), Some("d")).await.unwrap();
    let error = predict(None, None).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (&ErrorCode::INVALID_PARAMETER_VALUE, "no endpoint given: set `endpoint`")
    );
    assert_eq!(request_lines(&server), ["a", "b", "c"].map(|name| format!("POST /endpoints/{name}/invocations")));
}

#[tokio::test]
async fn missing_inputs_are_an_error() {
    let server = Server::start([Answer::new(200, "{}")]);
    let error = plain(&server).predict(Predict { inputs: Payload::empty(), ..predict("chat") }).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_prediction_of_an_unknown_endpoint_is_sent_once() {
    let server = Server::start([Answer::new(404, NO_ROUTE)]).with_route("/api/", Answer::new(404, NO_ENDPOINT));
    let client = plain(&server);
    let error = client.predict(predict("nope")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().contains("The endpoint 'nope' is not present"), "{error}");
    assert_eq!(request_lines(&server), ["POST /endpoints/nope/invocations", "GET /api/2.0/endpoints/nope"]);
    let again = client.predict(predict("nope")).await.unwrap_err();
    assert_eq!(again.message(), error.message());
}

#[tokio::test]
async fn a_provider_s_404_is_returned() {
    let server = Server::start([Answer::new(404, r#"{"detail":"up 404"}"#)]);
    let error = plain(&server).predict(predict("chat")).await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), (&ErrorCode::RESOURCE_DOES_NOT_EXIST, 1));
}

#[tokio::test]
async fn a_tracking_server_is_detected_by_a_prediction() {
    let server = Server::start([Answer::new(404, NO_PAGE), Answer::new(200, REPLY)]);
    let client = plain(&server);
    assert_eq!(text(&client.predict(predict("a/b")).await.unwrap()), REPLY);
    client.predict(predict("a/b")).await.unwrap();
    let own = "POST /gateway/a%2Fb/mlflow/invocations";
    assert_eq!(request_lines(&server), ["POST /endpoints/a%2Fb/invocations", own, own]);
    assert_eq!(server.requests()[1].body, chat().bytes());
}

#[tokio::test]
async fn an_unclear_404_is_resolved_before_the_prediction_is_repeated() {
    let server = Server::start([Answer::new(404, NO_ROUTE), Answer::new(404, NO_PAGE), Answer::new(200, REPLY)]);
    plain(&server).predict(predict("chat")).await.unwrap();
    let expected =
        ["POST /endpoints/chat/invocations", "GET /api/2.0/endpoints/chat", "POST /gateway/chat/mlflow/invocations"];
    assert_eq!(request_lines(&server), expected);
}

#[tokio::test]
async fn a_missing_endpoint_of_a_tracking_server_is_an_error() {
    let missing = r#"{"detail":{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"GatewayEndpoint not found"}}"#;
    let server = Server::start([Answer::new(404, NO_PAGE), Answer::new(404, missing)]);
    let error = plain(&server).predict(predict("nope")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().ends_with("GatewayEndpoint not found"), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_retried_and_a_failure_is_not() {
    let server = Server::start([Answer::new(503, "busy"), Answer::new(429, "slow down"), Answer::new(200, REPLY)]);
    plain(&server).predict(predict("chat")).await.unwrap();
    assert_eq!(server.requests().len(), 3);
    for (answer, times) in [(Answer::status(500), 1), (Answer::dropped(), 1), (Answer::status(502), 3)] {
        let server = Server::start([answer]);
        plain(&server).predict(predict("chat")).await.unwrap_err();
        assert_eq!(server.requests().len(), times);
    }
    let server = Server::start([Answer::dropped()]);
    let client = gateway(&server.url(), &json!({"retry_post": true}), &[]).unwrap();
    client.predict(predict("chat")).await.unwrap_err();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_timeout_error_names_the_settings_to_raise() {
    let server = Server::start([Answer::status(200).after(std::time::Duration::from_secs(60))]);
    let client = gateway(&server.url(), &json!({"timeout": 0.4}), &[]).unwrap();
    let error = client.predict(predict("chat")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
    // On a busy machine, the time may have passed before the request was sent.
    assert!(server.requests().len() <= 1, "{:?}", server.requests());
    assert!(error.message().contains("raise `timeout`, `MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT`"), "{error}");
}

#[tokio::test]
async fn predict_stream_requests_a_stream_and_returns_its_chunks() {
    let answer = Answer::chunks(["data: {\"id\": \"1\"}\n", "\ndata: {\"id\": \"2\"}\n\n"]);
    let server = Server::start([answer]);
    let (end, chunks) = stream(&plain(&server), "chat", r#"{"messages": [], "stream": false }"#).await;
    assert_eq!((end, chunks), (Ok(Payload::empty()), vec![r#"{"id": "1"}"#.to_owned(), r#"{"id": "2"}"#.to_owned()]));
    assert_eq!(server.requests()[0].text(), r#"{"messages": [], "stream": true }"#);
}

#[tokio::test]
async fn an_error_event_ends_a_stream() {
    let chunks =
        "data: {\"id\": \"1\"}\n\ndata: {\"error\":{\"message\":\"429: Rate limited\",\"type\":\"HTTPException\"}}\n\n";
    let server = Server::start([Answer::new(404, NO_PAGE), Answer::chunks([chunks])]);
    let (end, chunks) = stream(&plain(&server), "chat", "{}").await;
    assert_eq!((end.unwrap_err().code(), chunks.len()), (&ErrorCode::RESOURCE_EXHAUSTED, 1));
    assert_eq!(request_lines(&server)[1], "POST /gateway/chat/mlflow/invocations");
}

#[tokio::test]
async fn an_incomplete_stream_is_an_error() {
    let server = Server::start([Answer::chunks(["data: {\"id\": \"1\"}\n\n"]).abort_after_chunks()]);
    let (end, chunks) = stream(&plain(&server), "chat", "{}").await;
    assert_eq!((end.unwrap_err().code(), chunks.len()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, 1));
}

#[tokio::test]
async fn the_inputs_of_a_stream_must_be_an_object() {
    let server = Server::start([Answer::status(200)]);
    let (end, _) = stream(&plain(&server), "chat", "[1]").await;
    assert_eq!(end.unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    assert!(server.requests().is_empty());
}
