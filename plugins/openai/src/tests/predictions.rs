//! Tests predictions and their retries.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn inputs_are_unchanged_except_for_the_model() {
    let server = Server::start([Answer::new(200, REPLY)]);
    let inputs = r#"{"messages": [ {"role":"user"} ],"temperature":1.0e0, "seed": 12345678901234567890123, "x": null}"#;
    let answer = plain(&server).predict(predict("gpt-4o", inputs)).await.unwrap();
    assert_eq!(text(&answer), REPLY);
    assert_eq!(request_lines(&server), ["POST /v1/chat/completions"]);
    let request = &server.requests()[0];
    assert_eq!(request.text(), inputs.replacen('{', r#"{"model":"gpt-4o","#, 1));
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_model_comes_from_the_endpoint_or_the_inputs() {
    let server = Server::start([Answer::new(200, "{}")]);
    let client = plain(&server);
    for (name, inputs, sent) in [
        (Some("a"), r#"{"prompt":"p"}"#, r#"{"model":"a","prompt":"p"}"#),
        (Some("a"), r#"{"prompt":"p","model": "a"}"#, r#"{"prompt":"p","model": "a"}"#),
        (Some("a\"b"), r#"{"model":null,"prompt":"p"}"#, r#"{"model":"a\"b","prompt":"p"}"#),
        (None, r#"{"model":"b","prompt":"p"}"#, r#"{"model":"b","prompt":"p"}"#),
    ] {
        let endpoint = name.map(str::to_owned);
        let request = Predict { endpoint, inputs: inputs_of(inputs), ..Predict::default() };
        client.predict(request).await.unwrap();
        assert_eq!(server.requests().last().unwrap().text(), sent);
    }
    let deployment = Predict::deployment("d", inputs_of("{\"prompt\":1}"));
    client.predict(deployment).await.unwrap();
    assert_eq!(server.requests().last().unwrap().text(), r#"{"model":"d","prompt":1}"#);
    for (name, inputs, message) in [
        (Some("a"), r#"{"prompt":"p","model":"b"}"#, "conflicting models: `b` in the inputs, `a` as the endpoint"),
        (Some("a"), r#"{"prompt":"p","model":7}"#, "`model` in the inputs is not a string"),
        (Some(""), r#"{"prompt":"p"}"#, "the name of the endpoint is empty"),
        (None, r#"{"prompt":"p"}"#, "no model is specified"),
        (Some("a"), "", "no inputs given"),
        (Some("a"), "[1]", "expected a JSON object"),
    ] {
        let endpoint = name.map(str::to_owned);
        let request = Predict { endpoint, inputs: inputs_of(inputs), ..Predict::default() };
        let error = client.predict(request).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
    }
    assert_eq!(server.requests().len(), 5, "invalid inputs are not sent");
}

#[tokio::test]
async fn predict_replaces_stream_in_the_inputs() {
    let server = Server::start([Answer::new(200, REPLY)]);
    let client = plain(&server);
    client.predict(predict("m", r#"{"messages":[],"stream": true}"#)).await.unwrap();
    client.predict(predict("m", r#"{"messages":[],"stream": false}"#)).await.unwrap();
    for request in server.requests() {
        assert_eq!(request.text(), r#"{"model":"m","messages":[],"stream": false}"#);
    }
}

#[tokio::test]
async fn stream_options_are_sent_only_with_a_stream() {
    let server = Server::start([Answer::new(200, REPLY)]);
    for (inputs, sent) in [
        (
            r#"{"prompt":"p","stream":true,"stream_options":{"include_usage":true},"n": 1.0}"#,
            r#"{"model":"m","prompt":"p","stream":false,"n":1.0}"#,
        ),
        (r#"{"prompt": "p","stream_options":null}"#, r#"{"model":"m","prompt":"p"}"#),
    ] {
        plain(&server).predict(predict("m", inputs)).await.unwrap();
        assert_eq!(server.requests().pop().unwrap().text(), sent);
    }
}

#[tokio::test]
async fn a_response_that_is_not_json_is_an_error() {
    let page = Answer::new(200, "<html><title>Sign in</title>").header("Content-Type", "text/html");
    let events = Answer::chunks(["data: {}\n\n"]);
    for (answer, message) in [
        (page, "a web page titled `Sign in`"),
        (events, "although a whole one was requested: use `predict_stream`"),
        (Answer::new(200, "{bad"), "the server did not answer with JSON: "),
        (Answer::status(204), "an empty body"),
    ] {
        let error = plain(&Server::start([answer])).predict(predict("m", r#"{"messages":[]}"#)).await.unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
    for (answer, body) in [(Answer::new(200, "{\"a\": NaN}"), "{\"a\": NaN}"), (Answer::new(200, "[1]"), "[1]")] {
        let answer = plain(&Server::start([answer])).predict(predict("m", r#"{"messages":[]}"#)).await.unwrap();
        assert_eq!(text(&answer), body);
    }
}

#[tokio::test]
async fn retries_are_openai_s_except_for_lost_responses() {
    let quota = r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#;
    for (answer, times) in [
        (Answer::status(408), 6),
        (Answer::status(409), 6),
        (Answer::status(429), 6),
        (Answer::status(500), 6),
        (Answer::status(529), 6),
        (Answer::status(400), 1),
        (Answer::status(422), 1),
        (Answer::status(400).header("x-should-retry", "true"), 6),
        (Answer::status(500).header("x-should-retry", "false"), 1),
        (Answer::status(500).header("retry-after-ms", "1"), 6),
        (Answer::status(500).header("retry-after", "121"), 1),
        (Answer::new(429, quota), 1),
        (Answer::dropped(), 1),
        (Answer::new(200, "{").declared_length(9), 1),
    ] {
        let server = Server::start([answer.clone()]);
        plain(&server).predict(predict("m", r#"{"messages":[]}"#)).await.unwrap_err();
        assert_eq!(server.requests().len(), times, "{answer:?}");
    }
    let server = Server::start([Answer::dropped()]);
    let client = openai(&target(&server), &json!({"retry_post": true, "max_retries": 2}), &[]).unwrap();
    client.predict(predict("m", r#"{"messages":[]}"#)).await.unwrap_err();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_timeout_error_names_the_settings_to_raise() {
    let server = Server::start([Answer::status(200).after(Duration::from_secs(60))]);
    let client = openai(&target(&server), &json!({"timeout": 0.4}), &[]).unwrap();
    let error = client.predict(predict("m", r#"{"messages":[]}"#)).await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), (&ErrorCode::DEADLINE_EXCEEDED, 1));
    assert!(error.message().contains("raise `timeout`, `MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT`"), "{error}");
}
