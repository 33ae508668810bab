//! The config of a client, from the target URI, the client options and the environment.

use std::ffi::OsString;
use std::path::{self, PathBuf};

use mlflow_deploy_model_uri::TrackingOptions;
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, TargetUri};
use serde::Deserialize;

use crate::engine::LibrarySearch;
use crate::engine::python::PythonSearch;

use super::engine::DeploymentConfig;

/// The options of a client. They take precedence over the environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    state_dir: Option<PathBuf>,
    onnxruntime: Option<PathBuf>,
    python: Option<PathBuf>,
    /// The model to run. Only `run_local` sets it, for the process that runs its model.
    copy: Option<ModelCopy>,
    #[serde(flatten)]
    tracking: TrackingOptions,
}

/// A copy of a model in the state directory, which is not part of a deployment.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ModelCopy {
    pub(crate) folder: String,
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
}

/// The checked config of a client.
#[derive(Debug)]
pub(crate) struct Config {
    /// The absolute path of the state directory.
    pub(crate) state_dir: PathBuf,
    /// The paths that are searched for ONNX Runtime.
    pub(crate) library_search: LibrarySearch,
    /// The paths that are searched for Python.
    pub(crate) python_search: PythonSearch,
    /// The options of the tracking server that models are fetched from.
    pub(crate) tracking: TrackingOptions,
    /// The function that returns an environment variable.
    pub(crate) variable: fn(&str) -> Option<OsString>,
    /// The only model of the client, if it is opened for one model.
    pub(crate) copy: Option<ModelCopy>,
}

impl Config {
    /// Reads the target URI, the options and the environment. Reads no file.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the target URI or an option is invalid.
    pub(crate) fn new(
        target: &TargetUri,
        options: &ClientOptions,
        variable: fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        if !target.suffix().is_empty() {
            return Err(Error::invalid_parameter(format!(
                "invalid target `{target}`: expected `local`; to keep deployments in another directory, set the option \
                 `state_dir`"
            )));
        }
        let options: Options = options.parse()?;
        let non_empty = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| non_empty(name).map(PathBuf::from);
        let below = |folder: PathBuf| folder.join("mlflow-deploy/local");
        let state_dir = options
            .state_dir
            .or_else(|| path("MLFLOW_DEPLOY_LOCAL_STATE"))
            .or_else(|| path("XDG_STATE_HOME").filter(|path| path.is_absolute()).map(below))
            .or_else(|| path("HOME").map(|home| below(home.join(".local/state"))))
            .ok_or_else(|| {
                Error::invalid_parameter(
                    "no directory for deployments, because `HOME` is not set: set the option `state_dir` or the \
                     variable `MLFLOW_DEPLOY_LOCAL_STATE`",
                )
            })?;
        let state_dir = path::absolute(&state_dir).map_err(|error| {
            Error::invalid_parameter(format!("invalid state directory `{}`: {error}", state_dir.display()))
        })?;
        let python_search = PythonSearch::of_process(options.python, non_empty);
        let library_search = LibrarySearch::of_process(options.onnxruntime, non_empty);
        Ok(Self { state_dir, library_search, python_search, tracking: options.tracking, variable, copy: options.copy })
    }
}
