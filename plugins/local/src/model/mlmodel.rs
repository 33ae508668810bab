//! Reads `MLmodel`, the saved input example and the paths of files. Never follows a path out of the model's folder.

use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, file};
use mlflow_deploy_scoring::{Signature, SignatureError};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::example::{ExampleFile, SavedExample};
use super::flavor::OnnxFlavor;

/// The maximum size of `MLmodel` and of an input example, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// An MLflow model's folder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    /// The folder, with links resolved.
    pub(crate) folder: PathBuf,
    /// The names of the flavors, as the file lists them.
    pub(crate) flavors: Vec<String>,
    /// The flavor `onnx`, if the model has it.
    pub(crate) onnx: Option<OnnxFlavor>,
    /// The inputs and parameters of the model, if it was saved with a signature.
    pub(crate) signature: Option<Signature>,
    pub(super) example: Option<SavedExample>,
}

/// The parts of `MLmodel` that are read.
#[derive(Deserialize)]
struct MlmodelParts {
    #[serde(default)]
    flavors: Map<String, Value>,
    #[serde(default)]
    signature: Option<SavedSignature>,
    #[serde(default)]
    saved_input_example_info: Option<SavedExample>,
}

/// `signature` of `MLmodel`: each part is a JSON document in a string.
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
    /// Reads the file `MLmodel` of a model's folder.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the folder has no such file, or the file is not valid.
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

    /// Returns the saved input example as the JSON body of a request; `None` if the model has no example that a request
    /// can express.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the file of the example cannot be read, or lies outside of the model's folder.
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

    /// Returns the path of a file of the model, with links resolved.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the file does not exist, is not a regular file, or lies outside of the model's
    /// folder, even through a link.
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
