//! The protocol against what MLflow recorded, and against what nobody should send.

mod absurd;
mod client;
mod http;
mod messages;
mod mlflow;
mod write;

use serde_json::Value;

use crate::signature::{SavedSignature, Signature};

const JSON: &str = "application/json";

/// The signature that a recording has in JSON, read as MLflow would have saved it.
fn signature(recorded: &Value) -> Option<Signature> {
    let part = |name: &str| match &recorded[name] {
        Value::Null => Value::Null,
        part => Value::String(part.to_string()),
    };
    let saved = serde_json::json!({"inputs": part("inputs"), "params": part("params")});
    let saved: SavedSignature = serde_json::from_value(saved).unwrap();
    (!recorded.is_null()).then(|| Signature::from_saved(saved).unwrap())
}
