//! The answers of the endpoints' models: the number of bytes of the inputs, whole or in parts.

use std::time::Duration;

use serde_json::json;

use super::account::Account;
use super::frames::part;
use crate::server::{Answer, Request};

/// Answers a prediction. The endpoint `slow` answers after a minute.
pub(super) fn answer(account: &Account, request: &Request) -> Answer {
    let names: Vec<_> = request.path.split('/').collect();
    let (name, kind) = (names.get(2).copied().unwrap_or_default(), names.get(3).copied().unwrap_or_default());
    if !account.endpoints.contains_key(name) {
        let message = json!({"Message": format!("Endpoint {name} of account 123456789012 not found.")});
        return Answer::new(400, message.to_string()).header("x-amzn-ErrorType", "ValidationError:");
    }
    let answer = match kind {
        "invocations-response-stream" => {
            let event = |number: usize| part(&format!("data: {{\"part\": {number}}}\n\n"));
            let events = [event(1), event(2), part("data: [DONE]\n\n")];
            let answer = Answer::chunks(events).header("Content-Type", "application/vnd.amazon.eventstream");
            answer.header("x-amzn-SageMaker-Content-Type", "text/event-stream")
        }
        _ => Answer::new(200, json!({"predictions": [request.body.len()]}).to_string()),
    };
    if name == "slow" { answer.after(Duration::from_secs(60)) } else { answer }
}
