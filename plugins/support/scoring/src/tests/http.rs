//! Tests that a request gets the status and error code with which MLflow's scoring server answered it, except for the
//! listed differences.

use base64::Engine;
use serde_json::Value;

use super::signature;
use crate::{Inputs, ProtocolError, read_request};

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

/// Requests that this crate rejects and MLflow accepts, or that both reject with different codes. Each has the reason
/// for the difference.
const REJECTED_HERE: &[(&str, &str)] = &[
    ("pyfunc_alltypes/i_overflow", "MLflow passes -2147483648 for 2147483648"),
    ("pyfunc_alltypes/l_float", "MLflow passes 2 for 2.7"),
    ("pyfunc_alltypes/f_big", "MLflow passes infinity for 1e300"),
    ("pyfunc_alltypes/b_int2", "MLflow passes true for 2"),
    ("pyfunc_alltypes/b_str_false", "MLflow passes true for `False`"),
    ("pyfunc_alltypes/b_null", "MLflow passes false for null"),
    ("pyfunc_alltypes/bin_bad", "MLflow passes empty bytes for `@@@`"),
    ("pyfunc_nosig/split", "a missing string, which ONNX Runtime would read as `nan`"),
    ("pyfunc_nosig/llm_input", "a request for a chat model"),
    ("pyfunc_nosig/inputs_null", "null is not an array"),
    ("sklearn_iris/parquet_bad", "Parquet is not supported: 415 here, 400 in MLflow"),
];

/// Requests that this crate accepts and MLflow rejects. Each has the reason for the difference.
const ACCEPTED_HERE: &[(&str, &str)] = &[
    ("onnx_iris_tensor/csv", "MLflow cannot read CSV for a signature of tensors"),
    ("pyfunc_alltypes/csv", "MLflow cannot read CSV for a signature with a datetime"),
];

/// Returns true if the answer to a recorded request depends only on the HTTP server, not on the scoring protocol.
fn is_for_server(case: &Value) -> bool {
    let request = &case["request"];
    request["method"] != "POST" || request["path"] != "/invocations" || request["content_type"].is_null()
}

/// Returns true if a recorded answer reports an error of the model, which means that the server could read the request.
fn is_model_error(response: &Value) -> bool {
    let message = response["error"]["message"].as_str().unwrap_or_default();
    message.starts_with("Encountered an unexpected error while evaluating the model")
}

fn body(request: &Value) -> Vec<u8> {
    match &request["body_base64"] {
        Value::String(body) => base64::engine::general_purpose::STANDARD.decode(body).unwrap(),
        _ => request["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    }
}

fn is_same(response: &Value, ours: &Result<Inputs, ProtocolError>) -> bool {
    match ours {
        Ok(_) => response["status"] == 200 || is_model_error(response),
        Err(error) if error.status() == 415 => response["status"] == 415,
        Err(error) => {
            let recorded = &response["error"];
            response["status"] == error.status()
                && recorded["error_code"] == error.error_code().as_str()
                && recorded["error_class"] == error.error_class()
                && recorded["sqlstate"] == error.sqlstate()
        }
    }
}

#[test]
fn requests_get_the_status_and_code_of_mlflow() {
    let (mut same, mut different) = (0, Vec::new());
    for recorded in MODELS {
        let recorded: Value = serde_json::from_str(recorded).unwrap();
        let signature = signature(&recorded["signature"]);
        for case in recorded["cases"].as_array().unwrap().iter().filter(|case| !is_for_server(case)) {
            let request = &case["request"];
            let ours = read_request(request["content_type"].as_str().unwrap(), &body(request), signature.as_ref());
            if is_same(&case["response"], &ours) {
                same += 1;
            } else {
                let name = format!("{}/{}", recorded["model"].as_str().unwrap(), case["name"].as_str().unwrap());
                different.push((name, ours.map(drop)));
            }
        }
    }
    let listed = |listed: &[(&str, &str)]| listed.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let names = |is_accepted: bool| {
        different
            .iter()
            .filter(|(_, ours)| ours.is_ok() == is_accepted)
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(false), listed(REJECTED_HERE));
    assert_eq!(names(true), listed(ACCEPTED_HERE));
    assert_eq!(same, 122);
}

#[test]
fn requests_to_a_real_server_get_its_status_and_code() {
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
        ("sc_content_type_case", "media types are not case-sensitive: RFC 9110, section 8.3.1"),
        ("sc_dataframe_split", "a missing string, which ONNX Runtime would read as `nan`"),
        ("sc_inputs_null", "null is not an array"),
        ("sc_llm_input", "a request for a chat model"),
        ("sc_llm_prompt", "a request for a chat model"),
        ("sc_parquet_bad", "Parquet is not supported: 415 here, 400 in MLflow"),
        ("sc_sig_missing_column", "MLflow answers 500 to an error of the caller"),
    ];
    let mut different = Vec::new();
    for case in recorded.iter().filter(|case| !case["request"]["content_type"].is_null()) {
        let request = &case["request"];
        let signature = signature.as_ref().filter(|_| case["signature"] == true);
        let ours = read_request(request["content_type"].as_str().unwrap(), &body(request), signature);
        if !is_same(&case["response"], &ours) {
            different.push(case["name"].as_str().unwrap());
        }
    }
    assert_eq!(different, listed.map(|(name, _)| name));
    assert_eq!(recorded.len() - different.len(), 32);
}
