//! Checks predictions of deployed ONNX models against recordings of MLflow's scoring server.

use std::fs;

use mlflow_deploy::Payload;
use mlflow_deploy::args::Predict;
use serde_json::{Value, json};

use super::samples::{CLOSE, distance};
use super::{Machine, folder, iris, sample};

/// The recorded requests that MLflow rejects and this project accepts on purpose, each with the reason.
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

#[test]
fn unknown_input_is_an_error_without_a_signature_and_ignored_with_one() {
    let machine = Machine::new();
    machine.create("defaults", &sample("defaults"));
    let predict = |name: &str, arguments: &str, body: &str| {
        machine.ask(&format!("predict --json {arguments} --name {name} -I -")).stdin(body).run()
    };
    let by_default = predict("defaults", "", r#"{"inputs": {"x": [1.5, -4]}}"#);
    assert_eq!(by_default.json()["predictions"], json!({"y": [3.0, -8.0]}));
    let given = predict("defaults", "", r#"{"inputs": {"factor": [5], "x": [1.5, -4]}}"#);
    assert_eq!(given.json()["predictions"], json!({"y": [7.5, -20.0]}));
    for body in [
        r#"{"inputs": {"facotr": [5], "x": [1.5]}}"#,
        r#"{"instances": [{"facotr": 5, "x": 1.5}]}"#,
        r#"{"dataframe_split": {"columns": ["x", "facotr", "factor"], "data": [[1.5, 5, 5]]}}"#,
    ] {
        let refused = predict("defaults", "", body);
        assert_eq!((refused.code, &refused.error()["code"]), (2, &json!("INVALID_PARAMETER_VALUE")), "{refused:?}");
        let message = "the model has no input `facotr`: expected `x`, `factor` (optional)";
        assert_eq!(refused.error()["message"], message, "{refused:?}");
    }

    // This model has a signature.
    machine.create("divides", &sample("divides"));
    let ignored = predict("divides", "-v", r#"{"inputs": {"a": [6], "c": [1], "b": [3]}, "param": {}}"#);
    assert_eq!(ignored.json()["predictions"], json!({"y": [2]}));
    for said in ["ignoring the inputs `c`, which the model's signature does not have", "ignoring the members `param`"] {
        assert!(ignored.stderr.contains(said), "{ignored:?}");
    }
    let quiet = predict("divides", "", r#"{"inputs": {"a": [6], "c": [1], "b": [3]}}"#);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""), "{quiet:?}");
}
