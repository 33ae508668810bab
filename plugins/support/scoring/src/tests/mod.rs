//! Tests that compare this crate with recordings of MLflow's scoring server, and tests with malformed requests.

mod client;
mod http;
mod malformed;
mod messages;
mod mlflow;
mod signatures;
mod write;

use serde_json::Value;

use crate::Signature;

const JSON: &str = "application/json";

/// Parses the signature in a recording, or returns `None` if the recorded model has none.
fn signature(recorded: &Value) -> Option<Signature> {
    let part = |name: &str| recorded[name].to_string();
    let (inputs, params) = (part("inputs"), part("params"));
    (!recorded.is_null()).then(|| Signature::from_json(Some(&inputs), Some(&params)).unwrap())
}
