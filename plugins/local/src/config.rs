//! What a client knows before it is asked anything: from the target URI, its options, and the environment.

use std::ffi::OsString;
use std::path::{self, PathBuf};

use mlflow_deploy_model_uri::TrackingOptions;
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, TargetUri};
use serde::Deserialize;

use crate::engine::LibrarySearch;
use crate::engine::python::PythonSearch;
use crate::engine_config::DeploymentConfig;
use crate::source::Sources;

/// The options of one client. They win over the environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    state_dir: Option<PathBuf>,
    onnxruntime: Option<PathBuf>,
    python: Option<PathBuf>,
    /// Not for users: what `run_local` tells the process that runs its model.
    copy: Option<ModelCopy>,
    #[serde(flatten)]
    tracking: TrackingOptions,
}

/// A copy of a model in the state directory that no deployment names.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ModelCopy {
    pub(crate) folder: String,
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
}

/// All of it, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where deployments are kept; absolute.
    pub(crate) state_dir: PathBuf,
    /// Where ONNX Runtime may be.
    pub(crate) library_search: LibrarySearch,
    /// Who is asked for models.
    pub(crate) sources: Sources,
    /// Where Python may be.
    pub(crate) python_search: PythonSearch,
    /// The model that the client is for, where it is for one alone.
    pub(crate) copy: Option<ModelCopy>,
}

impl Config {
    /// Reads everything that there is to know. No file is read.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the target URI or an option is not one of the target's.
    pub(crate) fn new(
        target: &TargetUri,
        options: &ClientOptions,
        variable: fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        if !target.suffix().is_empty() {
            return Err(Error::invalid_parameter(format!(
                "`{target}` is no target: expected `local`; another directory for deployments is given with the option \
                 `state_dir`"
            )));
        }
        let options: Options = options.parse()?;
        let sources = Sources::new(options.tracking, variable);
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let below = |folder: PathBuf| folder.join("mlflow-deploy/local");
        let state_dir = options
            .state_dir
            .or_else(|| path("MLFLOW_DEPLOY_LOCAL_STATE"))
            .or_else(|| path("XDG_STATE_HOME").filter(|path| path.is_absolute()).map(below))
            .or_else(|| path("HOME").map(|home| below(home.join(".local/state"))))
            .ok_or_else(|| {
                Error::invalid_parameter(
                    "there is no directory to keep deployments in, for `HOME` is not set: give one with the option \
                     `state_dir` or with `MLFLOW_DEPLOY_LOCAL_STATE`",
                )
            })?;
        let state_dir = path::absolute(&state_dir)
            .map_err(|error| Error::invalid_parameter(format!("`{}` is no directory: {error}", state_dir.display())))?;
        let python_search = PythonSearch::of_process(options.python, variable);
        let library_search = LibrarySearch::of_process(options.onnxruntime, variable);
        Ok(Self { state_dir, library_search, python_search, sources, copy: options.copy })
    }
}
