//! Predictions of the fake Databricks workspace. The reply repeats the message of the request, as one body or as a
//! stream.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::databricks::api_error::ApiError;
use crate::databricks::endpoints::Endpoints;
use crate::server::Request;

pub(super) fn answer(endpoints: &Endpoints, name: &str, request: &Request) -> Answer {
    let endpoint = match endpoints.find(name) {
        Ok(endpoint) => endpoint,
        Err(error) => return error.into(),
    };
    if !endpoint.is_ready() {
        return ApiError::new(400, "INVALID_STATE", format!("Endpoint {name} is not ready.")).into();
    }
    let Ok(inputs) = serde_json::from_slice::<Value>(&request.body) else {
        return ApiError::new(400, "BAD_REQUEST", "Failed to parse the inputs: expected JSON").into();
    };
    if let Some(rows) = inputs["dataframe_records"].as_array() {
        return Answer::new(200, json!({"predictions": rows.iter().map(|_| 1.0).collect::<Vec<_>>()}).to_string());
    }
    let Some(content) = inputs["messages"][0]["content"].as_str() else {
        return ApiError::new(400, "BAD_REQUEST", "Encountered an unexpected input: expected `messages`").into();
    };
    if inputs["stream"] == true {
        let chunk = |word: &str| {
            let delta = json!({"choices": [{"index": 0, "delta": {"content": word}}]});
            format!("data: {delta}\n\n")
        };
        let words = content.split_inclusive(' ').map(chunk).chain(["data: [DONE]\n\n".to_owned()]);
        return Answer::chunks(words);
    }
    let message = json!({"role": "assistant", "content": content});
    let reply = json!({"object": "chat.completion", "choices": [{"index": 0, "message": message}]});
    let model = endpoint.served().first().map_or_else(String::new, |served| served["name"].to_string());
    Answer::new(200, reply.to_string()).header("served-model-name", model.trim_matches('"'))
}
