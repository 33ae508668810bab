//! Tests how the inputs and the config determine the route of a prediction.

use mlflow_deploy_plugin_api::Config;

use super::*;
use crate::request_body::{Delivery, PredictRequest};

fn route(inputs: &str, config: &Value, delivery: Delivery) -> Result<String> {
    let config = Config::new(config).unwrap();
    PredictRequest::new(Some("m"), &inputs_of(inputs), &config, delivery).map(|request| request.route)
}

#[test]
fn the_inputs_determine_the_route() {
    for (inputs, whole, streamed) in [
        (r#"{"messages":[]}"#, "chat/completions", "chat/completions"),
        (r#"{"messages":[],"input":null}"#, "chat/completions", "chat/completions"),
        (r#"{"prompt":"p"}"#, "completions", "completions"),
        (r#"{"input":"text"}"#, "embeddings", "responses"),
        (r#"{"input":["a","b"],"dimensions":3,"user":"u"}"#, "embeddings", "responses"),
        (r#"{"input":[[1,2]],"input_type":"query"}"#, "embeddings", "responses"),
        (r#"{"input":[]}"#, "embeddings", "responses"),
        (r#"{"input":"text","instructions":"i"}"#, "responses", "responses"),
        (r#"{"input":"text","max_output_tokens":5}"#, "responses", "responses"),
        (r#"{"input":[ {"role":"user","content":"c"}]}"#, "responses", "responses"),
    ] {
        assert_eq!(route(inputs, &json!({}), Delivery::Whole).unwrap(), whole, "{inputs}");
        assert_eq!(route(inputs, &json!({}), Delivery::Streamed).unwrap(), streamed, "{inputs}");
    }
}

#[test]
fn the_config_takes_precedence() {
    for (config, expected) in [
        (json!({"task": "responses"}), "responses"),
        (json!({"task": "chat"}), "chat/completions"),
        (json!({"task": "llm/v1/completions"}), "completions"),
        (json!({"task": "llm/v1/embeddings"}), "embeddings"),
        (json!({"task": "agent/v1/responses"}), "responses"),
        (json!({"route": "moderations"}), "moderations"),
        (json!({"route": "/images/generations/"}), "images/generations"),
        (json!({"route": "a b?c"}), "a%20b%3Fc"),
    ] {
        assert_eq!(route(r#"{"input":"text"}"#, &config, Delivery::Whole).unwrap(), expected);
    }
    assert_eq!(route("{}", &json!({"route": "moderations"}), Delivery::Whole).unwrap(), "moderations");
}

#[test]
fn an_unknown_or_ambiguous_task_is_an_error() {
    let text = r#"{"input":"text"}"#;
    for (inputs, config, message) in [
        (
            "{}",
            json!({}),
            "the task of the inputs is unknown: expected `messages` (chat), `prompt` (completions) or `input`",
        ),
        (
            r#"{"messages":[],"prompt":""}"#,
            json!({}),
            "the task of the inputs is ambiguous: they contain `messages` and `prompt`; remove",
        ),
        (text, json!({"task": "chat", "route": "x"}), "conflicting `task` and `route`"),
        (text, json!({"task": "talk"}), "failed to read the config: `task`: unknown variant `talk`"),
        (text, json!({"tusk": "chat"}), "unknown field `tusk`, expected `task` or `route`"),
        (text, json!({"route": "../files"}), "invalid `route` `../files`: expected a path below the base URL"),
        (
            text,
            json!({"route": ""}),
            "invalid `route` ``: expected a path below the base URL, such as `moderations`; the name is empty",
        ),
        (text, json!({"task": "embeddings"}), "embeddings cannot be streamed: use `predict`"),
        (text, json!({"route": "embeddings"}), "embeddings cannot be streamed: use `predict`"),
    ] {
        let error = route(inputs, &config, Delivery::Streamed).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_missing_route_is_explained_by_the_base_url() {
    let framework = r#"{"detail":"Not Found"}"#;
    let lm_studio = r#"{"error":"Unexpected endpoint or method. (POST /chat/completions)"}"#;
    let page = "<!DOCTYPE html><title>Chat</title>";
    for (base, status, body, hint) in [
        ("", 404, framework, "may lack `/v1`: try `http://127.0.0.1:"),
        ("", 405, r#"{"detail":"Method Not Allowed"}"#, "may lack `/v1`"),
        ("", 200, lm_studio, "may lack `/v1`"),
        ("", 200, page, "may lack `/v1`"),
        ("/v1", 404, framework, "check the base URL `http://127.0.0.1:"),
        ("/v1", 404, "404 page not found", "check the base URL"),
    ] {
        let server = Server::start([Answer::new(status, body)]);
        let target = server.url().replace("http://", "openai://") + base;
        let client = openai(&target, &json!({"max_retries": 0}), &[]).unwrap();
        for error in [
            client.predict(predict("m", r#"{"messages":[]}"#)).await.unwrap_err(),
            client.list_endpoints(ListEndpoints::all()).await.unwrap_err(),
            client.get_endpoint(GetEndpoint::new("m")).await.unwrap_err(),
            natively(&client, PredictStream::endpoint("m", inputs_of(r#"{"messages":[]}"#))).await.0.unwrap_err(),
        ] {
            assert_ne!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
            assert!(error.message().contains(hint) && error.http_status() == Some(status), "{error}");
        }
    }
    let missing = Server::start([Answer::new(404, r#"{"error":{"message":"The model `m` does not exist"}}"#)]);
    let error = plain(&missing).predict(predict("m", r#"{"messages":[]}"#)).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
}
