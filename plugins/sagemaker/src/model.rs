//! The model that is deployed: fetched to a temporary folder, and checked.

use std::path::{Path, PathBuf};

use mlflow_deploy_model_uri::{ModelUri, Tracking, fetch};
use mlflow_deploy_plugin_api::{Error, Result, blocking, file};
use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::TempDir;

/// The maximum size of the file `MLmodel`, in bytes.
const MAX_MLMODEL: u64 = 16 << 20;

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

/// The parts of the file `MLmodel` that this plugin reads.
#[derive(Deserialize)]
struct Mlmodel {
    #[serde(default)]
    flavors: Map<String, Value>,
    mlflow_version: Option<String>,
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
        let mlflow_version = blocking(move || check(&checked)).await?;
        Ok(Self { folder, source, mlflow_version, flavor: FLAVOR, _download: download })
    }
}

/// Checks that a folder has a model of the flavor `python_function`. Returns the version of MLflow that saved it.
fn check(folder: &Path) -> Result<Option<String>> {
    let path = folder.join("MLmodel");
    let shown = folder.display();
    if folder.is_file() {
        return Err(Error::invalid_parameter(format!("`{shown}` is a file: expected the folder of an MLflow model")));
    }
    let text = file::read_text(&path, MAX_MLMODEL).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::invalid_parameter(format!(
            "`{shown}` is not an MLflow model: it has no file `MLmodel`; specify the folder that MLflow saved or logged"
        )),
        _ => Error::invalid_parameter(format!("failed to read `{}`: {error}", path.display())),
    })?;
    let options = serde_saphyr::options! { with_snippet: false };
    let mlmodel: Mlmodel = serde_saphyr::from_str_with_options(&text, options)
        .map_err(|error| Error::invalid_parameter(format!("failed to read `{}`: {error}", path.display())))?;
    if !mlmodel.flavors.contains_key(FLAVOR) {
        let flavors: Vec<_> = mlmodel.flavors.keys().map(String::as_str).collect();
        return Err(Error::invalid_parameter(format!(
            "the model `{shown}` has no flavor `{FLAVOR}`, which MLflow's containers need, but {flavors:?}: save it with \
             MLflow's function for its library, or with `mlflow.pyfunc.save_model`"
        )));
    }
    Ok(mlmodel.mlflow_version)
}
