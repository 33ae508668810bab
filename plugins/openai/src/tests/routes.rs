//! Where inputs are sent: by their shape, or by the config.

use mlflow_deploy_plugin_api::Config;

use super::*;
use crate::question::{Delivery, Question};

fn route(inputs: &str, config: &Value, delivery: Delivery) -> Result<String> {
    let config = Config::new(config).unwrap();
    Question::new(Some("m"), &inputs_of(inputs), &config, delivery).map(|question| question.route)
}

#[test]
fn the_shape_of_the_inputs_tells() {
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
fn the_config_decides_otherwise() {
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
fn what_cannot_be_meant_is_refused() {
    let text = r#"{"input":"text"}"#;
    for (inputs, config, message) in [
        ("{}", json!({}), "the inputs have none of `messages` (chat), `prompt` (completions) and `input`"),
        (r#"{"messages":[],"prompt":""}"#, json!({}), "the inputs have `messages` and `prompt`: leave one"),
        (text, json!({"task": "chat", "route": "x"}), "`task` and `route` both say where to ask"),
        (text, json!({"task": "talk"}), "failed to read the config: `task`: unknown variant `talk`"),
        (text, json!({"tusk": "chat"}), "unknown field `tusk`, expected `task` or `route`"),
        (text, json!({"route": "../files"}), "`route` is `../files`: expected a path below the base"),
        (
            text,
            json!({"route": ""}),
            "`route` is ``: expected a path below the base, such as `moderations`; the name is empty",
        ),
        (text, json!({"task": "embeddings"}), "embeddings are not streamed: use `predict`"),
        (text, json!({"route": "embeddings"}), "embeddings are not streamed: use `predict`"),
    ] {
        let error = route(inputs, &config, Delivery::Streamed).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
    }
}
