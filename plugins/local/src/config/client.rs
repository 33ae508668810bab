//! The configuration of a client, from the target URI, the client options and the environment.

use std::ffi::OsString;
use std::path::{self, PathBuf};

use mlflow_deploy_model_uri::TrackingOptions;
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, TargetUri};
use serde::Deserialize;

use crate::engine::LibrarySearch;
use crate::engine::python::PythonSearch;

use super::engine::DeploymentConfig;

/// The client options of the local plugin. They take precedence over environment variables.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    state_dir: Option<PathBuf>,
    onnxruntime: Option<PathBuf>,
    python: Option<PathBuf>,
    /// The copied model that the client runs. Only `run_local` sets this option, for the separate process that runs its
    /// model.
    copy: Option<ModelCopy>,
    #[serde(flatten)]
    tracking: TrackingOptions,
}

/// A copied model in the state directory that belongs to no deployment. `run_local` makes such a copy.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ModelCopy {
    pub(crate) folder: String,
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
}

/// The validated configuration of a client.
#[derive(Debug)]
pub(crate) struct Config {
    /// The absolute path of the state directory.
    pub(crate) state_dir: PathBuf,
    /// The paths at which the client searches for the library of ONNX Runtime.
    pub(crate) library_search: LibrarySearch,
    /// The paths at which the client searches for a Python interpreter.
    pub(crate) python_search: PythonSearch,
    /// The options for the tracking server from which models are downloaded.
    pub(crate) tracking: TrackingOptions,
    /// The function that returns the value of an environment variable by its name.
    pub(crate) variable: fn(&str) -> Option<OsString>,
    /// The copied model that the client runs, if it is opened to run one model.
    pub(crate) copy: Option<ModelCopy>,
}

impl Config {
    /// Reads and validates the target URI, the client options and the environment. Reads no file.
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
