//! Reads the file `MLmodel` and the saved input example of a model. Rejects paths that lead out of the model's folder.

use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, file};
use mlflow_deploy_scoring::{Signature, SignatureError};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::example::{ExampleFile, SavedExample};
use super::flavor::OnnxFlavor;

/// The maximum size of the file `MLmodel` and of a file with an input example, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The folder of an MLflow model, and the contents of its file `MLmodel`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    /// The path of the model's folder, with symbolic links resolved.
    pub(crate) folder: PathBuf,
    /// The names of the model's flavors, in the order of the file `MLmodel`.
    pub(crate) flavors: Vec<String>,
    /// The contents of the flavor `onnx`, if the model has it.
    pub(crate) onnx: Option<OnnxFlavor>,
    /// The signature of the model: its inputs and parameters. `None` if the model was saved without a signature.
    pub(crate) signature: Option<Signature>,
    pub(super) example: Option<SavedExample>,
}

/// The parts of the file `MLmodel` that this plugin reads.
#[derive(Deserialize)]
struct MlmodelParts {
    #[serde(default)]
    flavors: Map<String, Value>,
    #[serde(default)]
    signature: Option<SavedSignature>,
    #[serde(default)]
    saved_input_example_info: Option<SavedExample>,
}

/// The key `signature` of the file `MLmodel`. Each field is a string that contains a JSON document.
#[derive(Deserialize)]
struct SavedSignature {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    params: Option<String>,
}

impl SavedSignature {
    fn parse(self) -> std::result::Result<Signature, SignatureError> {
        Signature::from_json(self.inputs.as_deref(), self.params.as_deref())
    }
}

impl Model {
    /// Reads the file `MLmodel` in a model's folder.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the folder does not contain the file, or if the file is not valid.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("MLmodel");
        let failed =
            |reason: String| Error::invalid_parameter(format!("failed to read `{}`: {reason}", path.display()));
        let text = read_text(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::invalid_parameter(format!(
                "`{}` is not an MLflow model: it has no file `MLmodel`; specify the folder that MLflow saved or logged",
                folder.display(),
            )),
            _ => failed(error.to_string()),
        })?;
        // The snippet is left out, because an error is one line.
        let options = serde_saphyr::options! { with_snippet: false };
        let real = folder.canonicalize().map_err(|error| failed(error.to_string()))?;
        if !path.canonicalize().is_ok_and(|file| file.starts_with(&real)) {
            return Err(failed("it is a link that leads out of its folder; replace it with the file".to_owned()));
        }
        let parts: MlmodelParts =
            serde_saphyr::from_str_with_options(&text, options).map_err(|error| failed(error.to_string()))?;
        let onnx = match parts.flavors.get("onnx") {
            None => None,
            Some(flavor) => {
                let flavor = OnnxFlavor::deserialize(flavor);
                Some(flavor.map_err(|error| failed(format!("in the flavor `onnx`: {error}")))?)
            }
        };
        let signature = match parts.signature.map(SavedSignature::parse).transpose() {
            // Only ONNX Runtime needs the signature: Python may support types that this version does not.
            Err(_unsupported) if onnx.is_none() && parts.flavors.contains_key("python_function") => None,
            signature => signature.map_err(|error| failed(error.to_string()))?,
        };
        Ok(Self {
            folder: real,
            flavors: parts.flavors.keys().cloned().collect(),
            onnx,
            signature,
            example: parts.saved_input_example_info,
        })
    }

    /// Returns the saved input example as the JSON body of a prediction request. Returns `None` if the model has no
    /// example, or if the example cannot be expressed as a prediction request.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the example's file cannot be read, or lies outside of the model's folder.
    pub(crate) fn input_example(&self) -> Result<Option<String>> {
        let read = |relative: &str| {
            let path = self.file(relative)?;
            read_text(&path).map_err(|error| {
                Error::invalid_parameter(format!("failed to read the model's input example `{relative}`: {error}"))
            })
        };
        Ok(match self.example.as_ref().and_then(SavedExample::file) {
            None => None,
            Some(ExampleFile::Request(path)) => Some(read(path)?),
            Some(ExampleFile::Saved(path, kind)) => Some(kind.request(read(path)?)),
        })
    }

    /// Returns the absolute path of the model's file `relative`, with symbolic links resolved.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the file does not exist, is not a regular file, or lies outside of the model's
    /// folder. A file outside of the folder is rejected even if a link in the folder leads to it.
    pub(crate) fn file(&self, relative: &str) -> Result<PathBuf> {
        let failed = |reason: &str| {
            // The message omits the folder, which may be a copy that is deleted after this error.
            Error::invalid_parameter(format!("the model names the file `{relative}`, which {reason}"))
        };
        let path =
            self.folder.join(relative).canonicalize().map_err(|error| failed(&format!("is missing: {error}")))?;
        if !path.starts_with(&self.folder) {
            return Err(failed("lies outside of its folder"));
        }
        if !path.is_file() {
            return Err(failed("is not a file"));
        }
        Ok(path)
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    file::read_text(path, MAX_BYTES)
}
