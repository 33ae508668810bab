//! Tests with models that MLflow saved, and with damaged models.

use std::fs;
use std::os::unix::fs::symlink;

use mlflow_deploy_scoring::{ColumnType, DType, ScalarType, Schema, TensorSpec};
use serde_json::json;
use tempfile::TempDir;

use super::Model;
use super::flavor::Provider;

const ONNX_COLUMNS: &str = include_str!("onnx_iris_cols.yaml");
const ONNX_TENSOR: &str = include_str!("onnx_iris_tensor.yaml");
const SKLEARN: &str = include_str!("sklearn_iris.yaml");

fn folder(mlmodel: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("MLmodel"), mlmodel).unwrap();
    folder
}

fn read(mlmodel: &str) -> Model {
    Model::read(folder(mlmodel).path()).unwrap()
}

/// Reads a model whose file `MLmodel` contains the given text. Returns the error message, with `MODEL` in place of the
/// path of the model's folder.
fn error_message(mlmodel: &str) -> String {
    let folder = folder(mlmodel);
    let error = Model::read(folder.path()).unwrap_err();
    assert_eq!(error.code().as_str(), "INVALID_PARAMETER_VALUE");
    error.message().replace(&folder.path().display().to_string(), "MODEL")
}

#[test]
fn the_onnx_flavor_and_a_signature_of_columns_are_read() {
    let model = read(ONNX_COLUMNS);
    assert_eq!(model.flavors, ["onnx", "python_function"]);
    let onnx = model.onnx.unwrap();
    assert_eq!(onnx.data, "model.onnx");
    let names: Vec<_> = onnx.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["CUDAExecutionProvider", "CPUExecutionProvider"]);
    assert!(onnx.session_options.is_empty());
    let signature = model.signature.unwrap();
    assert_eq!(signature.params, None);
    let Some(Schema::Columns(columns)) = signature.inputs else { panic!("{:?}", signature.inputs) };
    assert_eq!(columns.len(), 4);
    assert_eq!(columns[3].name.as_deref(), Some("petal width (cm)"));
    assert!(columns.iter().all(|column| column.required && column.kind == ColumnType::Scalar(ScalarType::Float)));
}

#[test]
fn a_signature_of_a_tensor_is_read() {
    let spec = TensorSpec { name: None, dtype: DType::Float32, shape: vec![None, Some(4)] };
    assert_eq!(read(ONNX_TENSOR).signature.unwrap().inputs, Some(Schema::Tensors(vec![spec])));
}

#[test]
fn other_flavors_are_listed_by_name() {
    let model = read(SKLEARN);
    assert_eq!(model.flavors, ["python_function", "sklearn"]);
    assert_eq!(model.onnx, None);
}

#[test]
fn session_options_and_providers_with_options_are_read() {
    let model = read(
        "flavors:
  onnx:
    data: model.onnx
    onnx_session_options: {execution_mode: sequential, intra_op_num_threads: 2}
    providers: [[CUDAExecutionProvider, {device_id: 1}], CPUExecutionProvider]
",
    );
    let onnx = model.onnx.unwrap();
    assert_eq!(json!(onnx.session_options), json!({"execution_mode": "sequential", "intra_op_num_threads": 2}));
    let providers = [("CUDAExecutionProvider", true), ("CPUExecutionProvider", false)];
    assert_eq!(onnx.providers, providers.map(|(name, has_options)| Provider { name: name.to_owned(), has_options }));
    assert_eq!(model.signature, None);
}

#[test]
fn input_examples_become_requests() {
    let example = |info: &str, name: &str, text: &str| {
        let folder = folder(&format!("saved_input_example_info: {{{info}}}\n"));
        fs::write(folder.path().join(name), text).unwrap();
        Model::read(folder.path()).unwrap().input_example().unwrap()
    };
    let saved = "artifact_path: input_example.json";
    let serving = format!("{saved}, serving_input_path: s.json, type: ndarray");
    assert_eq!(example(&serving, "s.json", r#"{"inputs": [1]}"#).as_deref(), Some(r#"{"inputs": [1]}"#));
    let file = "input_example.json";
    let frame = format!("{saved}, type: dataframe");
    let split = r#"{"columns": ["a"], "data": [[1]]}"#;
    assert_eq!(example(&frame, file, split).unwrap(), format!(r#"{{"dataframe_split": {split}}}"#));
    let array = format!("{saved}, type: ndarray");
    assert_eq!(example(&array, file, "[[1]]").as_deref(), Some(r#"{"inputs": [[1]]}"#));
    assert_eq!(example(&array, file, r#"{"inputs": [[1]]}"#).as_deref(), Some(r#"{"inputs": [[1]]}"#));
    assert_eq!(example(&format!("{saved}, type: sparse_matrix_csr"), file, "{}"), None);
    assert_eq!(read(ONNX_COLUMNS).input_example().unwrap(), None);
}

#[test]
fn invalid_models_are_rejected() {
    let empty = tempfile::tempdir().unwrap();
    let message = Model::read(empty.path()).unwrap_err().message().to_owned();
    assert!(message.contains("has no file `MLmodel`"), "{message}");
    for (mlmodel, reason) in [
        ("flavors: [", "failed to read `MODEL/MLmodel`: "),
        ("flavors: {onnx: {providers: null}}", "in the flavor `onnx`: missing field `data`"),
        ("signature: {inputs: '[{'}", "in `inputs` of the signature: it is not JSON"),
        (r#"signature: {params: '[{"type": "long"}]'}"#, "in `params` of the signature: a parameter has no `name`"),
    ] {
        let message = error_message(mlmodel);
        assert!(message.contains(reason), "{mlmodel}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn files_outside_of_the_model_s_folder_are_rejected() {
    let outside = folder("");
    let inside = folder("");
    fs::write(inside.path().join("model.onnx"), "").unwrap();
    symlink(outside.path().join("MLmodel"), inside.path().join("link")).unwrap();
    let model = Model::read(inside.path()).unwrap();
    assert_eq!(model.file("model.onnx").unwrap(), model.folder.join("model.onnx"));
    let absolute = outside.path().join("MLmodel").display().to_string();
    for (relative, reason) in [
        ("missing", "is missing"),
        (".", "is not a file"),
        ("link", "lies outside of its folder"),
        (absolute.as_str(), "lies outside of its folder"),
    ] {
        let message = model.file(relative).unwrap_err().message().to_owned();
        assert!(message.contains(reason), "{relative}: {message}");
    }
}

#[test]
fn malicious_files_are_rejected() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &(b'b'..=b'k')
            .map(|letter| {
                let (this, last) = (char::from(letter), char::from(letter - 1));
                format!("{this}: &{this} [{}]\n", vec![format!("*{last}"); 10].join(", "))
            })
            .collect::<String>();
    error_message(&bomb);
    error_message(&"[".repeat(1 << 20));
    assert!(error_message(&" ".repeat(17 << 20)).contains("larger than 16 MiB"));
    error_message("\u{0}");
}
