//! Checks HTTP responses of `run-local` against recordings of MLflow's scoring server.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::samples::{CLOSE, distance};
use super::super::{Machine, folder, iris, sample};
use super::Served;
use super::http::{self, Answer};
use crate::recordings::recordings;

/// The names of the recordings from which this project's responses differ on purpose, each with the reason.
const DELIBERATE: &[(&str, &str)] = &[
    ("onnx_iris_cols/inputs_dict_cols", "MLflow cannot feed a classifier from columns"),
    ("onnx_iris_cols/records_ints", "MLflow cannot feed a classifier from columns"),
    ("onnx_iris_cols/split", "MLflow cannot feed a classifier from columns"),
    ("onnx_iris_tensor/csv", "MLflow's reader of CSV fails for every signature of tensors"),
    ("sklearn_iris/csv_header_only", "scikit-learn refuses no rows, and ONNX Runtime answers none"),
    ("sklearn_iris/csv_missing_value", "scikit-learn refuses what is missing, and ONNX Runtime answers `NaN`"),
    ("sklearn_iris/ct_missing", "MLflow's server breaks without a content type"),
    ("sklearn_iris/infinity_literal", "scikit-learn refuses what is infinite, and ONNX Runtime answers `NaN`"),
    ("sklearn_iris/null_for_double", "scikit-learn refuses what is missing, and ONNX Runtime answers `NaN`"),
    ("sklearn_iris/parquet_bad", "Parquet is not supported"),
    ("sklearn_iris/records_ragged_keys", "scikit-learn refuses what is missing, and ONNX Runtime answers `NaN`"),
    ("sc_content_type_case", "media types are the same in upper and lower case"),
    ("sc_content_type_missing", "MLflow's server breaks without a content type"),
    ("sc_dataframe_records_empty", "an ONNX model cannot be fed a frame without columns"),
    ("sc_dataframe_split", "a text that is missing, which ONNX Runtime would read as the text `nan`"),
    ("sc_inputs_null", "null is not an array"),
    ("sc_llm_input", "a request for a chat model"),
    ("sc_llm_prompt", "a request for a chat model"),
    ("sc_parquet_bad", "Parquet is not supported"),
    ("sc_sig_missing_column", "MLflow says 500 for what the caller can mend"),
];

/// The names of the recordings of Python models that do what an ONNX model cannot do.
const OF_PYTHON_MODELS: [&str; 9] = [
    "sc_instances_records",
    "sc_model_bytes",
    "sc_model_echo_llm",
    "sc_model_nan",
    "sc_model_none",
    "sc_model_np",
    "sc_model_raise",
    "sc_model_series",
    "sc_model_str",
];

/// The results of the comparison of all responses with their recordings.
#[derive(Default)]
struct Outcome {
    passing: usize,
    different: BTreeMap<String, String>,
}

impl Outcome {
    fn note(&mut self, name: String, recorded: &Value, ours: &Answer) {
        match difference(recorded, ours) {
            None => self.passing += 1,
            Some(difference) => drop(self.different.insert(name, difference)),
        }
    }

    /// Prints the number of equal and of different responses. Panics if a response differs, unless its recording is in
    /// [`DELIBERATE`] and `is_listed` returns true for its name.
    fn check(self, what: &str, is_listed: impl Fn(&str) -> bool) {
        let listed: BTreeMap<&str, &str> = DELIBERATE.iter().copied().filter(|(name, _)| is_listed(name)).collect();
        let failing: Vec<_> = self.different.iter().filter(|(name, _)| !listed.contains_key(name.as_str())).collect();
        let same: Vec<_> = listed.keys().filter(|name| !self.different.contains_key(**name)).collect();
        println!(
            "{what}: {} passing, {} deliberately different, {} failing",
            self.passing,
            self.different.len() - failing.len(),
            failing.len()
        );
        for (name, why) in &listed {
            println!("  {name}: {why}");
        }
        assert!(failing.is_empty(), "{failing:#?}");
        assert!(same.is_empty(), "no longer different: {same:?}");
    }
}

#[test]
fn responses_for_onnx_models_equal_those_of_mlflow() {
    let mut outcome = Outcome::default();
    // `onnx_iris_cols` was converted from the scikit-learn classifier.
    for name in ["onnx_iris_cols", "onnx_iris_tensor", "onnx_mlp", "sklearn_iris"] {
        let file = folder("plugins/support/scoring/src/tests/recordings").join(format!("{name}.json"));
        let recorded: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let model = if matches!(name, "onnx_iris_cols" | "sklearn_iris") { iris() } else { sample(name) };
        let model = with_signature(&model, &recorded["signature"]);
        let machine = Machine::new();
        let served = Served::start(model.path(), &machine, "");
        for case in recorded["cases"].as_array().unwrap() {
            let ours = replay(&served, &case["request"]);
            outcome.note(format!("{name}/{}", case["name"].as_str().unwrap()), &case["response"], &ours);
        }
    }
    outcome.check("recordings of models", |name| name.contains('/'));
}

#[test]
fn responses_to_the_scoring_client_equal_those_of_mlflow() {
    let mut outcome = Outcome::default();
    let mut not_run = 0;
    let machine = Machine::new();
    let array = Served::start(&sample("echo_array"), &machine, "");
    let columns = Served::start(&sample("echo_columns"), &machine, "");
    let signature = json!({
        "inputs": [
            {"type": "long", "name": "a", "required": true},
            {"type": "string", "name": "b", "required": true},
            {"type": "double", "name": "c", "required": false},
        ],
        "params": [{"name": "temperature", "type": "double", "default": 0.5, "shape": null}],
    });
    let with_signature = with_signature(&sample("echo_columns"), &signature);
    let with_signature = Served::start(with_signature.path(), &machine, "");
    let patient = Served::start(&sample("counts"), &machine, "-C timeout=0.1");
    for case in recordings("sc_") {
        let name = case["name"].as_str().unwrap();
        if OF_PYTHON_MODELS.contains(&name) {
            not_run += 1;
            continue;
        }
        let wants_columns = case["request"]["body"].as_str().is_some_and(|body| body.contains("\"b\""));
        let served = match name {
            "sc_timeout" => &patient,
            _ if name.starts_with("sc_sig_") => &with_signature,
            _ if wants_columns => &columns,
            _ => &array,
        };
        let headers = &case["request"]["headers"];
        let content_type = headers.get("Content-Type").unwrap_or(&Value::Null);
        // The recorded model sleeps, and the model here counts without end.
        let forever = json!(r#"{"inputs": [4611686018427387904]}"#);
        let body = if name == "sc_timeout" { &forever } else { &case["request"]["body"] };
        let request = json!({
            "method": case["request"]["method"], "path": case["request"]["path"], "content_type": content_type,
            "body": body.as_str(), "body_base64": body["b64"],
        });
        outcome.note(name.to_owned(), &response(&case["response"]), &replay(served, &request));
    }
    println!("recordings of Python functions, which are not run: {not_run}");
    outcome.check("recordings of the scoring client", |name| !name.contains('/'));
}

/// Returns a copy of a model. Its signature is `signature`, which comes from a recording.
fn with_signature(model: &Path, signature: &Value) -> TempDir {
    let copy = super::super::copy_of(model);
    let part = |name: &str| match &signature[name] {
        Value::Null => Value::Null,
        part => Value::String(part.to_string()),
    };
    let flavors = json!({"onnx": {"data": "model.onnx"}});
    let saved = json!({"flavors": flavors, "signature": {"inputs": part("inputs"), "params": part("params")}});
    fs::write(copy.path().join("MLmodel"), saved.to_string()).unwrap();
    copy
}

fn replay(served: &Served, request: &Value) -> Answer {
    let body = match &request["body_base64"] {
        Value::String(body) => decode(body),
        _ => request["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
    http::ask(served.address, &http::request(method, path, request["content_type"].as_str(), &body))
}

/// Decodes Base64 text. Returns the decoded bytes.
fn decode(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = text.trim_end_matches('=').bytes();
    let bits = letters.flat_map(|letter| {
        let value = LETTERS.iter().position(|each| *each == letter).unwrap();
        (0..6).rev().map(move |bit| value >> bit & 1)
    });
    let bits: Vec<usize> = bits.collect();
    bits.chunks_exact(8).map(|byte| u8::try_from(byte.iter().fold(0, |byte, bit| byte << 1 | bit)).unwrap()).collect()
}

/// Converts a response that was recorded as raw HTTP to the format of the other recordings.
fn response(wire: &Value) -> Value {
    let headers = wire["headers"].as_array().unwrap();
    let content_type = headers.iter().find(|pair| pair[0] == "content-type").map(|pair| pair[1].clone());
    let body = wire["body"].as_str().unwrap_or_default();
    let error = serde_json::from_str::<Value>(body).ok().filter(|body| body["error_code"].is_string());
    json!({"status": wire["status"], "content_type": content_type, "body": body, "error": error})
}

/// Returns a text with both responses if they differ, and `None` otherwise. Does not compare error messages, because
/// MLflow's messages depend on the order of a Python set.
fn difference(recorded: &Value, ours: &Answer) -> Option<String> {
    let shown = || Some(format!("recorded {recorded}, here {ours:?}"));
    if recorded["status"] != ours.status || recorded["content_type"].as_str() != ours.header("content-type") {
        return shown();
    }
    if recorded["error"].is_object() {
        let (theirs, ours) = (&recorded["error"], ours.json());
        let is_equal = ["error_code", "sqlstate", "error_class"].iter().all(|key| theirs[key] == ours[key]);
        return if is_equal { None } else { shown() };
    }
    let theirs = recorded["body"].as_str().unwrap_or_default();
    let is_equal = match ours.status {
        200 if theirs.starts_with('{') => {
            let theirs: Value = serde_json::from_str(&theirs.replace("NaN", "null")).unwrap();
            is_same(&theirs["predictions"], &ours.json()["predictions"])
        }
        415 => true,
        _ => theirs == ours.body,
    };
    if is_equal { None } else { shown() }
}

/// Returns true if two predictions agree. If the recorded prediction is a list of scikit-learn's labels, compares it
/// with the output `label` of the ONNX model. If it describes the recorded model's inputs, compares it with the inputs
/// that the ONNX model returns.
fn is_same(theirs: &Value, ours: &Value) -> bool {
    let described = match (theirs["type"].as_str(), theirs) {
        (Some("DataFrame" | "ndarray"), _) => &theirs["values"],
        (Some("list"), _) => &theirs["value"],
        (Some("dict"), _) => &theirs["items"],
        (_, Value::Array(labels)) if labels.iter().all(Value::is_number) => {
            let rows = ours.as_array().unwrap();
            return is_close(theirs, &rows.iter().map(|row| row["label"].clone()).collect());
        }
        _ => return is_close(theirs, &renamed(ours)),
    };
    is_close(&bare(described), &bare(ours))
}

/// Returns a copy of a prediction in which the names of outputs lack the suffix `_out`. They then equal the names of
/// the inputs.
fn renamed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(renamed).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.trim_end_matches("_out").to_owned(), renamed(value))).collect()
        }
        value => value.clone(),
    }
}

/// Returns the values of a nested value as nested arrays without names. Replaces each array of one element by the
/// element.
fn bare(value: &Value) -> Value {
    let items: Vec<Value> = match value {
        Value::Array(items) => items.iter().map(bare).collect(),
        Value::Object(members) => {
            members.iter().filter(|(name, _)| *name != "dtype").map(|(_, value)| bare(value)).collect()
        }
        value => return value.clone(),
    };
    match <[Value; 1]>::try_from(items) {
        Ok([only]) => only,
        Err(items) => Value::Array(items),
    }
}

fn is_close(theirs: &Value, ours: &Value) -> bool {
    distance(ours, theirs) <= CLOSE
}
