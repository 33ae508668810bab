//! Predictions of deployed ONNX models, compared with recordings of MLflow's scoring server.

use std::fs;

use mlflow_deploy::Payload;
use mlflow_deploy::args::Predict;
use serde_json::Value;

use super::samples::{CLOSE, distance};
use super::{Machine, folder, iris, sample};

/// Requests that MLflow rejects and we accept on purpose.
const ANSWERED: [(&str, &str); 4] = [
    ("onnx_iris_cols/split", "MLflow fails on every classifier with a column signature"),
    ("onnx_iris_cols/records_ints", "MLflow fails on every classifier with a column signature"),
    ("onnx_iris_cols/inputs_dict_cols", "MLflow fails on every classifier with a column signature"),
    ("onnx_iris_tensor/csv", "MLflow's reader of CSV fails for every signature of tensors"),
];

#[tokio::test]
async fn predictions_equal_those_of_mlflow_s_scoring_server() {
    let machine = Machine::new();
    let client = machine.client().await;
    let (mut same, mut different, mut failing) = (0, 0, Vec::new());
    for model in ["onnx_iris_cols", "onnx_iris_tensor", "onnx_mlp"] {
        machine.create(model, &if model == "onnx_iris_cols" { iris() } else { sample(model) });
        let recorded = folder("plugins/support/scoring/src/tests/recordings").join(format!("{model}.json"));
        let recorded: Value = serde_json::from_slice(&fs::read(recorded).unwrap()).unwrap();
        for case in recorded["cases"].as_array().unwrap() {
            let name = format!("{model}/{}", case["name"].as_str().unwrap());
            let (request, response) = (&case["request"], &case["response"]);
            let text = |key: &str| request[key].as_str().unwrap().to_owned();
            let inputs = Payload::new(text("content_type"), text("body"));
            let predict = Predict { deployment_name: Some(model.to_owned()), inputs, ..Predict::default() };
            let ours = client.predict(predict).await;
            let is_same = match &ours {
                Ok(answer) => {
                    let theirs = response["body"].as_str().map(|body| serde_json::from_str::<Value>(body).unwrap());
                    theirs.is_some_and(|theirs| distance(&answer.json().unwrap(), &theirs) <= CLOSE)
                }
                Err(error) => response["error"]["error_code"] == error.code().as_str(),
            };
            match ANSWERED.iter().any(|(listed, _)| *listed == name) {
                false if is_same => same += 1,
                true if !is_same && ours.is_ok() => different += 1,
                _ => failing.push(format!("{name}: {ours:?}, and MLflow {response}")),
            }
        }
    }
    println!("scoring recordings: {same} passing, {different} deliberately different, {} failing", failing.len());
    assert!(failing.is_empty(), "{}", failing.join("\n"));
    assert_eq!(different, ANSWERED.len());
}
