//! The protocol against what MLflow recorded, and against what nobody should send.

mod absurd;
mod client;
mod http;
mod messages;
mod mlflow;
mod write;

use std::fs;

use serde_json::Value;

use crate::model::{Model, Signature};

const JSON: &str = "application/json";

/// The signature that a recording has in JSON, read as MLflow would have saved it.
fn signature(recorded: &Value) -> Option<Signature> {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str| match &recorded[name] {
        Value::Null => Value::Null,
        part => Value::String(part.to_string()),
    };
    let saved = serde_json::json!({"signature": {"inputs": part("inputs"), "params": part("params")}});
    fs::write(folder.path().join("MLmodel"), saved.to_string()).unwrap();
    (!recorded.is_null()).then(|| Model::read(folder.path()).unwrap().signature.unwrap())
}
