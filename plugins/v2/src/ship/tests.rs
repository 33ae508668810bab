//! Tests the bodies of load requests for MLflow's flavors.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::load_body;

const SIGNATURE: &str = r#"signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "string", "name": "city"}, {"type": "datetime", "name": "at"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 2]}}]'
"#;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A load request: the names of its files, its model configuration, and its parameters.
struct Load {
    files: Vec<String>,
    config: Value,
    parameters: Map<String, Value>,
}

/// Returns the load request for the model in `folder`, or the message of the error.
fn load(folder: &Path, flavor: Option<&str>, config: Value) -> Result<Load, String> {
    let config = config.as_object().cloned().unwrap_or_default();
    let (body, _) = load_body(folder, "m", flavor, config).map_err(|error| error.message().to_owned())?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut parameters = body["parameters"].as_object().cloned().unwrap();
    let config = parameters.shift_remove("config").unwrap();
    let config = serde_json::from_str(config.as_str().unwrap()).unwrap();
    Ok(Load { files: parameters.keys().cloned().collect(), config, parameters })
}

#[test]
fn a_python_model_is_sent_with_its_program_and_its_signature() {
    let folder = tempfile::tempdir().unwrap();
    let mlmodel =
        format!("flavors:\n  python_function: {{loader_module: mlflow.sklearn}}\n  sklearn: {{}}\n{SIGNATURE}");
    write(folder.path(), &[("MLmodel", &mlmodel), ("model.pkl", "pickle"), ("code/a/b.py", "")]);
    let Load { files, config, parameters } = load(folder.path(), None, json!({})).unwrap();
    let expected = ["file:1/model.py", "file:1/mlflow/MLmodel", "file:1/mlflow/code/a/b.py", "file:1/mlflow/model.pkl"];
    assert_eq!(files, expected);
    let program = BASE64_STANDARD.decode(parameters["file:1/model.py"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(program).unwrap().contains("class TritonPythonModel"));
    let expected = json!({
        "name": "m", "max_batch_size": 0, "backend": "python",
        "input": [
            {"name": "age", "data_type": "TYPE_FP64", "dims": [-1]},
            {"name": "city", "data_type": "TYPE_STRING", "dims": [-1]},
            {"name": "at", "data_type": "TYPE_STRING", "dims": [-1]},
        ],
        "output": [{"name": "output-0", "data_type": "TYPE_INT64", "dims": [-1, 2]}],
    });
    assert_eq!(config, expected);
    let own = json!({"input": [], "output": [], "backend": "other"});
    assert_eq!(load(folder.path(), None, own).unwrap().config["backend"], "other");
}

#[test]
fn the_onnx_file_of_a_folder_is_sent_with_the_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("MLmodel", "flavors: {onnx: {data: onnx/net.onnx}}"),
            ("conda.yaml", ""),
            ("onnx/net.onnx", "ONNX"),
            ("onnx/net.onnx.data", "weights"),
        ],
    );
    let Load { files, config, .. } = load(folder.path(), None, json!({})).unwrap();
    assert_eq!(files, ["file:1/net.onnx", "file:1/net.onnx.data"]);
    assert_eq!(config["default_model_filename"], "net.onnx");
}

#[test]
fn a_model_that_cannot_be_sent_has_a_reason() {
    for (mlmodel, flavor, reason) in [
        (
            "flavors: {spark: {}}",
            None,
            "cannot send the model to Triton: the model has the flavors `spark`, and `onnx`",
        ),
        ("flavors: {onnx: {data: model.onnx}}", Some("sklearn"), "cannot send the flavor `sklearn` to Triton"),
        ("flavors: {onnx: {data: model.onnx}}", Some("python_function"), "cannot send the flavor `python_function`"),
        ("flavors: {onnx: {data: model.onnx}}", None, "the model names the file `model.onnx`, which is missing"),
        ("flavors: {onnx: {data: ../model.onnx}}", None, "`../model.onnx`, which lies outside of its folder"),
        ("flavors: {python_function: {}}", None, "the model has no signature with inputs and outputs"),
        ("flavors: [", None, "failed to read `MLmodel` in"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("MLmodel", mlmodel)]);
        let error = load(folder.path(), flavor, json!({})).err().unwrap();
        assert!(error.contains(reason), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_the_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("MLmodel", "flavors: {onnx: {data: model.onnx}}"), ("model.onnx", "")]);
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("weights")).unwrap();
    let error = load(folder.path(), None, json!({})).err().unwrap();
    assert!(error.contains("`weights` in the model's folder: it is a link or a special file"), "{error}");
}
