//! Sends a model of the flavor `onnx`, which Triton's backend `onnxruntime` runs. The backend finds the inputs and the
//! outputs in the ONNX file.

use std::path::{Component, Path};

use mlflow_deploy_plugin_api::{Error, Result};
use serde_json::{Map, Value, json};

use super::body::LoadBody;
use super::files;
use super::mlmodel::Mlmodel;

/// The name of the flavor in MLflow.
pub(super) const FLAVOR: &str = "onnx";

/// MLflow's own files in a model's folder, which the backend does not need.
const MLFLOW_FILES: [&str; 8] = [
    "MLmodel",
    "conda.yaml",
    "input_example.json",
    "python_env.yaml",
    "registered_model_meta",
    "requirements.txt",
    "serving_input_example.json",
    "python_model.pkl",
];

/// Adds the ONNX file and the files with its external data. Returns the flavor's part of the model configuration.
pub(super) fn add(body: &mut LoadBody, folder: &Path, model: &Mlmodel) -> Result<Map<String, Value>> {
    let data = model.flavors[FLAVOR]["data"].as_str().unwrap_or("model.onnx");
    let path = Path::new(data);
    if path.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(Error::invalid_parameter(format!(
            "the model names the file `{data}`, which lies outside of its folder"
        )));
    }
    // The ONNX file names its external data relative to its own folder.
    let parent = path.parent().map(|parent| format!("{}/", parent.display())).filter(|parent| parent != "/");
    let parent = parent.unwrap_or_default();
    let mut is_complete = false;
    for file in files::list(folder)? {
        let Some(name) = file.strip_prefix(&parent) else { continue };
        if MLFLOW_FILES.contains(&file.as_str()) || name.starts_with("metadata/") {
            continue;
        }
        is_complete |= file == data;
        files::add(body, folder, &file, name)?;
    }
    if !is_complete {
        return Err(Error::invalid_parameter(format!("the model names the file `{data}`, which is missing")));
    }
    let name = data.strip_prefix(&parent).unwrap_or(data);
    let config = json!({"backend": "onnxruntime", "default_model_filename": name});
    Ok(config.as_object().cloned().unwrap_or_default())
}
