//! What MLflow's scoring server answered: the same status and code here, but for the differences that are listed.

use base64::Engine;
use serde_json::Value;

use super::signature;
use crate::fault::Fault;
use crate::{Inputs, read};

const MODELS: &[&str] = &[
    include_str!("recordings/lightgbm_booster.json"),
    include_str!("recordings/lightgbm_skl.json"),
    include_str!("recordings/onnx_iris_cols.json"),
    include_str!("recordings/onnx_iris_tensor.json"),
    include_str!("recordings/onnx_mlp.json"),
    include_str!("recordings/pyfunc_alltypes.json"),
    include_str!("recordings/pyfunc_nosig.json"),
    include_str!("recordings/sklearn_iris.json"),
    include_str!("recordings/sklearn_nosig.json"),
    include_str!("recordings/sklearn_proba.json"),
    include_str!("recordings/xgboost_booster.json"),
];

/// What is refused here and not there, or here with another code, and why.
const REFUSED: &[(&str, &str)] = &[
    ("pyfunc_alltypes/i_overflow", "MLflow feeds -2147483648 for 2147483648"),
    ("pyfunc_alltypes/l_float", "MLflow feeds 2 for 2.7"),
    ("pyfunc_alltypes/f_big", "MLflow feeds an infinity for 1e300"),
    ("pyfunc_alltypes/b_int2", "MLflow feeds true for 2"),
    ("pyfunc_alltypes/b_str_false", "MLflow feeds true for `False`"),
    ("pyfunc_alltypes/b_null", "MLflow feeds false for null"),
    ("pyfunc_alltypes/bin_bad", "MLflow feeds no bytes for `@@@`"),
    ("pyfunc_nosig/split", "a text that is missing, which ONNX Runtime would read as the text `nan`"),
    ("pyfunc_nosig/llm_input", "a request for a chat model"),
    ("pyfunc_nosig/inputs_null", "null is no array"),
    ("sklearn_iris/parquet_bad", "Parquet is no content type here: 415, where MLflow says 400"),
];

/// What is taken here and not there, and why.
const TAKEN: &[(&str, &str)] = &[
    ("onnx_iris_tensor/csv", "MLflow's reader of CSV fails for every signature of tensors"),
    ("pyfunc_alltypes/csv", "MLflow's reader of CSV fails for every signature with a datetime"),
];

/// The server's own business, which is not the protocol's.
fn is_of_the_server(case: &Value) -> bool {
    let request = &case["request"];
    request["method"] != "POST" || request["path"] != "/invocations" || request["content_type"].is_null()
}

/// Whether the request was read, and the model failed.
fn is_of_the_model(response: &Value) -> bool {
    let message = response["error"]["message"].as_str().unwrap_or_default();
    message.starts_with("Encountered an unexpected error while evaluating the model")
}

fn body(request: &Value) -> Vec<u8> {
    match &request["body_base64"] {
        Value::String(body) => base64::engine::general_purpose::STANDARD.decode(body).unwrap(),
        _ => request["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    }
}

fn is_same(response: &Value, ours: &Result<Inputs, Fault>) -> bool {
    match ours {
        Ok(_) => response["status"] == 200 || is_of_the_model(response),
        Err(fault) if fault.status() == 415 => response["status"] == 415,
        Err(fault) => {
            let error = &response["error"];
            response["status"] == fault.status()
                && error["error_code"] == fault.error_code().as_str()
                && error["error_class"] == fault.error_class()
                && error["sqlstate"] == fault.sqlstate()
        }
    }
}

#[test]
fn requests_get_the_status_and_the_code_that_mlflow_gives_them() {
    let (mut same, mut different) = (0, Vec::new());
    for recorded in MODELS {
        let recorded: Value = serde_json::from_str(recorded).unwrap();
        let signature = signature(&recorded["signature"]);
        for case in recorded["cases"].as_array().unwrap().iter().filter(|case| !is_of_the_server(case)) {
            let request = &case["request"];
            let ours = read(request["content_type"].as_str().unwrap(), &body(request), signature.as_ref());
            if is_same(&case["response"], &ours) {
                same += 1;
            } else {
                let name = format!("{}/{}", recorded["model"].as_str().unwrap(), case["name"].as_str().unwrap());
                different.push((name, ours.map(drop)));
            }
        }
    }
    let listed = |listed: &[(&str, &str)]| listed.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let names = |is_taken: bool| {
        different.iter().filter(|(_, ours)| ours.is_ok() == is_taken).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(false), listed(REFUSED));
    assert_eq!(names(true), listed(TAKEN));
    assert_eq!(same, 122);
}

#[test]
fn requests_to_a_server_without_a_signature() {
    let signature = signature(&serde_json::json!({
        "inputs": [
            {"type": "long", "name": "a", "required": true},
            {"type": "string", "name": "b", "required": true},
            {"type": "double", "name": "c", "required": false},
        ],
        "params": [{"name": "temperature", "type": "double", "default": 0.5, "shape": null}],
    }));
    let recorded: Vec<Value> = serde_json::from_str(include_str!("recordings/wire.json")).unwrap();
    let listed = [
        ("sc_dataframe_split", "a text that is missing, which ONNX Runtime would read as the text `nan`"),
        ("sc_inputs_null", "null is no array"),
        ("sc_llm_input", "a request for a chat model"),
        ("sc_llm_prompt", "a request for a chat model"),
        ("sc_parquet_bad", "Parquet is no content type here: 415, where MLflow says 400"),
        ("sc_sig_missing_column", "MLflow says 500 for what the caller can mend"),
    ];
    let mut different = Vec::new();
    for case in recorded.iter().filter(|case| !case["request"]["content_type"].is_null()) {
        let request = &case["request"];
        let signature = signature.as_ref().filter(|_| case["signature"] == true);
        let ours = read(request["content_type"].as_str().unwrap(), &body(request), signature);
        if !is_same(&case["response"], &ours) {
            different.push(case["name"].as_str().unwrap());
        }
    }
    assert_eq!(different, listed.map(|(name, _)| name));
    assert_eq!(recorded.len() - different.len(), 33);
}
