//! The model that is deployed: fetched to a temporary folder, and checked.

use std::path::PathBuf;

use mlflow_deploy_model_uri::{ModelUri, PythonFunction, Tracking, fetch};
use mlflow_deploy_plugin_api::{Error, Result, blocking};
use tempfile::TempDir;

/// The flavor that every model for this target has.
const FLAVOR: &str = "python_function";

/// A model on this machine.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) folder: PathBuf,
    /// The model URI of the caller, without credentials.
    pub(crate) source: String,
    /// The version of MLflow that saved the model.
    pub(crate) mlflow_version: Option<String>,
    pub(crate) flavor: &'static str,
    /// The folder of the download, which is deleted with this value.
    _download: TempDir,
}

impl Model {
    /// Fetches a model and checks its flavor.
    ///
    /// # Errors
    /// Fails if the model cannot be fetched or has no flavor `python_function`.
    pub(crate) async fn fetch(uri: &str, flavor: Option<&str>, tracking: &Tracking) -> Result<Self> {
        if let Some(flavor) = flavor.filter(|flavor| *flavor != FLAVOR) {
            return Err(Error::invalid_parameter(format!(
                "the flavor `{flavor}` is not supported: MLflow's containers serve the flavor `{FLAVOR}`; omit the flavor"
            )));
        }
        let download = tempfile::tempdir()
            .map_err(|error| Error::internal(format!("failed to create a temporary folder: {error}")))?;
        let path = PathBuf::from(uri);
        let (folder, source) = if path.exists() {
            (path, uri.to_owned())
        } else {
            let parsed = ModelUri::parse(uri)?;
            (fetch(&parsed, tracking, &download.path().join("model")).await?.path, parsed.to_string())
        };
        let checked = folder.clone();
        let read = blocking(move || PythonFunction::read(&checked, "MLflow's containers need")).await?;
        Ok(Self { folder, source, mlflow_version: read.mlflow_version, flavor: FLAVOR, _download: download })
    }
}
