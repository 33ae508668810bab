//! The HTTP proxy of the fake cluster, and the scoring server behind each application.

use std::time::Duration;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::ray::applications::Applications;
use crate::server::Request;

/// A delay that is longer than any timeout of the tests.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) fn answer(applications: &Applications, request: &Request) -> Answer {
    let Some(name) = applications.at(&request.path).filter(|_| request.path.ends_with("/invocations")) else {
        let text = format!("Path '{}' not found. Ping http://.../-/routes for available routes.", request.path);
        return Answer::new(404, text).header("Content-Type", "text/plain");
    };
    if name.starts_with("slow") {
        return Answer::status(200).after(NEVER);
    }
    let is_csv = request.header("content-type").is_some_and(|kind| kind.starts_with("text/csv"));
    if !is_csv && serde_json::from_slice::<Value>(&request.body).is_err() {
        let message = format!("Ensure that input is a valid JSON formatted string. Input: \n{}\n", request.text());
        return Answer::new(400, json!({"error_code": "BAD_REQUEST", "message": message}).to_string());
    }
    if request.header("accept").is_some_and(|kind| kind.contains("text/event-stream")) && name.starts_with("stream") {
        let chunks = (0..12).map(|number| format!("data: {}\n\n", json!({"part": number})));
        return Answer::chunks(chunks.chain(["data: [DONE]\n\n".to_owned()]));
    }
    Answer::new(200, r#"{"predictions": [0, 1]}"#)
}
