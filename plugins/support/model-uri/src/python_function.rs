//! Reads the flavor `python_function` of a model on this machine, which servers that run MLflow's own code need.

use std::io::ErrorKind;
use std::path::Path;

use mlflow_deploy_plugin_api::{Error, Result, file};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The maximum size of the file `MLmodel`, in bytes.
const MAX_MLMODEL: u64 = 16 << 20;

const FLAVOR: &str = "python_function";

/// The versions in a model of the flavor `python_function`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PythonFunction {
    /// The version of MLflow that saved the model.
    pub mlflow_version: Option<String>,
    /// The version of Python that saved the model.
    pub python_version: Option<String>,
}

/// The parts of the file `MLmodel` that this module reads.
#[derive(Deserialize)]
struct Mlmodel {
    #[serde(default)]
    flavors: Map<String, Value>,
    mlflow_version: Option<String>,
}

impl PythonFunction {
    /// Reads the model in a folder. Blocks. `needed_by` is the part of the error that says what needs the
    /// flavor, such as `Ray needs`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the folder has no model of this flavor.
    pub fn read(folder: &Path, needed_by: &str) -> Result<Self> {
        let path = folder.join("MLmodel");
        let shown = folder.display();
        let failed = |error: &dyn std::fmt::Display| {
            Error::invalid_parameter(format!("failed to read `{}`: {error}", path.display()))
        };
        if folder.is_file() {
            return Err(Error::invalid_parameter(format!(
                "`{shown}` is a file: expected the folder of an MLflow model"
            )));
        }
        let text = file::read_text(&path, MAX_MLMODEL).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::invalid_parameter(format!(
                "`{shown}` is not an MLflow model: it has no file `MLmodel`; specify the folder that MLflow saved or logged"
            )),
            _ => failed(&error),
        })?;
        let options = serde_saphyr::options! { with_snippet: false };
        let mlmodel: Mlmodel = serde_saphyr::from_str_with_options(&text, options).map_err(|error| failed(&error))?;
        let Some(flavor) = mlmodel.flavors.get(FLAVOR) else {
            let flavors: Vec<_> = mlmodel.flavors.keys().map(String::as_str).collect();
            return Err(Error::invalid_parameter(format!(
                "the model `{shown}` has no flavor `{FLAVOR}`, which {needed_by}, but {flavors:?}: save it with MLflow's \
                 function for its library, or with `mlflow.pyfunc.save_model`"
            )));
        };
        let python_version = flavor["python_version"].as_str().map(str::to_owned);
        Ok(Self { mlflow_version: mlmodel.mlflow_version, python_version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_needs_the_flavor_python_function() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("MLmodel");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            PythonFunction::read(folder.path(), "Ray needs").map_err(|error| error.message().to_owned())
        };
        let model = read("mlflow_version: 3.17.2\nflavors:\n  python_function:\n    python_version: 3.11.7\n").unwrap();
        let versions = (model.mlflow_version.as_deref(), model.python_version.as_deref());
        assert_eq!(versions, (Some("3.17.2"), Some("3.11.7")));
        let other = read("flavors:\n  onnx: {}\n").unwrap_err();
        assert!(other.contains("no flavor `python_function`, which Ray needs, but [\"onnx\"]"), "{other}");
        assert!(read(":").unwrap_err().starts_with("failed to read `"));
        std::fs::remove_file(&file).unwrap();
        let missing = PythonFunction::read(folder.path(), "Ray needs").unwrap_err();
        assert!(missing.message().contains("it has no file `MLmodel`"), "{missing}");
    }
}
