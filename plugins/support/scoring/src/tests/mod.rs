//! The protocol compared with recordings of MLflow, and with malformed requests.

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

/// Reads the signature of a recording.
fn signature(recorded: &Value) -> Option<Signature> {
    let part = |name: &str| recorded[name].to_string();
    let (inputs, params) = (part("inputs"), part("params"));
    (!recorded.is_null()).then(|| Signature::from_json(Some(&inputs), Some(&params)).unwrap())
}
