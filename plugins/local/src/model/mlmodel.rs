//! Reads `MLmodel`. Never follows a path out of the model's folder.

use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, file};
use mlflow_deploy_scoring::{SavedSignature, Signature};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::example::SavedExample;
use super::flavor::OnnxFlavor;

/// Bytes; more than any signature needs.
const LONGEST: u64 = 16 << 20;

/// An MLflow model's folder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    /// The folder, with links resolved.
    pub(crate) folder: PathBuf,
    /// The names of the flavors, as the file lists them.
    pub(crate) flavors: Vec<String>,
    /// The flavor `onnx`, where the model has it.
    pub(crate) onnx: Option<OnnxFlavor>,
    /// What the model takes, where its author said it.
    pub(crate) signature: Option<Signature>,
    pub(super) example: Option<SavedExample>,
}

/// The parts of the file that matter here.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    flavors: Map<String, Value>,
    #[serde(default)]
    signature: Option<SavedSignature>,
    #[serde(default)]
    saved_input_example_info: Option<SavedExample>,
}

impl Model {
    /// Reads the file `MLmodel` of a model's folder.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the folder has no such file, or it is not what MLflow writes.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("MLmodel");
        let failed = |what: String| Error::invalid_parameter(format!("failed to read `{}`: {what}", path.display()));
        let text = text(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::invalid_parameter(format!(
                "`{}` is no MLflow model: it has no file `MLmodel`; give the folder that MLflow saved or logged",
                folder.display(),
            )),
            _ => failed(error.to_string()),
        })?;
        // Without a snippet: an error is one line.
        let options = serde_saphyr::options! { with_snippet: false };
        let real = folder.canonicalize().map_err(|error| failed(error.to_string()))?;
        if !path.canonicalize().is_ok_and(|file| file.starts_with(&real)) {
            return Err(failed(
                "it is a link that leads out of its folder; put the file there in its place".to_owned(),
            ));
        }
        let parts: Parts =
            serde_saphyr::from_str_with_options(&text, options).map_err(|error| failed(error.to_string()))?;
        let onnx = match parts.flavors.get("onnx") {
            None => None,
            Some(flavor) => {
                let flavor = OnnxFlavor::deserialize(flavor);
                Some(flavor.map_err(|error| failed(format!("in the flavor `onnx`: {error}")))?)
            }
        };
        let signature = match parts.signature.map(Signature::from_saved).transpose() {
            // Python may know what this version does not: only ONNX Runtime is fed by it.
            Err(_unknown) if onnx.is_none() && parts.flavors.contains_key("python_function") => None,
            signature => signature.map_err(failed)?,
        };
        Ok(Self {
            folder: real,
            flavors: parts.flavors.keys().cloned().collect(),
            onnx,
            signature,
            example: parts.saved_input_example_info,
        })
    }

    /// The real path of a file of the model.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where it does not exist, is no file, or lies outside of the model's folder, through a link too.
    pub(crate) fn file(&self, relative: &str) -> Result<PathBuf> {
        let failed = |what: &str| {
            // Without the folder: it may be a copy that is gone before anybody reads this.
            Error::invalid_parameter(format!("the model names the file `{relative}`, which {what}"))
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

/// The text of a file that is not absurdly long.
pub(super) fn text(path: &Path) -> io::Result<String> {
    file::read_text(path, LONGEST)
}
