//! A loaded model, which computes predictions with ONNX Runtime in this process or with MLflow's scoring server.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result, blocking};

use super::run_times::RunTimes;
use crate::config::DeploymentConfig;
use crate::engine::python::{Python, PythonServers};
use crate::engine::{LibrarySearch, OnnxModel, RunPermit, SessionOptions, UnknownInputs};
use crate::model::{Model, OnnxFlavor};
use crate::store::Folder;
use mlflow_deploy_scoring::{Inputs, Layout, Output, read_predictions, read_request, write_predictions, write_request};

/// A loaded model that computes predictions. While this value exists, no process removes the model's copy on disk.
pub(crate) struct LoadedModel {
    model: Model,
    flavor: String,
    config: DeploymentConfig,
    backend: Backend,
    run_times: RunTimes,
    folder: Folder,
}

/// The flavor and the engine that are selected for a model, and the config for that engine. The engine is a Python
/// interpreter, or ONNX Runtime if `python` is `None`.
pub(crate) struct Runner {
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
    pub(crate) python: Option<Python>,
}

/// A model that is loaded in one of the two engines.
enum Backend {
    /// ONNX Runtime, in this process.
    Onnx(OnnxModel),
    /// MLflow's scoring server, in one or more separate processes. The processes end when this value is dropped.
    Python(PythonServers),
}

impl LoadedModel {
    /// Loads the copied model in `folder` into ONNX Runtime, or starts Python servers for it in the background. Blocks.
    /// Must be called on a blocking thread of the plugin's runtime.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the model is invalid, `INVALID_STATE` if ONNX Runtime is missing.
    pub(crate) fn load(folder: Folder, runner: Runner, library_search: &LibrarySearch) -> Result<Self> {
        let Runner { flavor, config, python } = runner;
        let model = Model::read(&folder.model())?;
        let backend = match &python {
            Some(python) => {
                let (timeout, workers) = (config.start_timeout(), config.workers());
                Backend::Python(PythonServers::start(python, &folder.model(), timeout, workers))
            }
            None => {
                let Some(onnx) = &model.onnx else {
                    let message = "the copy of the model no longer has the flavor `onnx`: deploy the model again";
                    return Err(Error::invalid_parameter(message));
                };
                let of_flavor = session_options(onnx)?;
                let file = model.file(&onnx.data)?;
                Backend::Onnx(OnnxModel::load(&file, &config.onnx, of_flavor, library_search)?)
            }
        };
        Ok(Self { model, flavor, config, backend, run_times: RunTimes::default(), folder })
    }

    /// Returns predictions for the body of a request. Accepts and returns the same formats as MLflow's scoring server.
    /// Quick predictions run on the calling thread.
    ///
    /// # Errors
    /// Fails if the body does not have such a format, or if the model fails.
    pub(crate) async fn predict(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        let onnx = match &self.backend {
            Backend::Onnx(onnx) => onnx,
            Backend::Python(server) => return server.predict(&inputs).await,
        };
        let permit = onnx.acquire().await?;
        if permit.has_session() && self.run_times.is_quick(inputs.bytes().len()) {
            return self.run_onnx(permit, &inputs);
        }
        let _terminate = permit.terminate_on_drop();
        blocking(move || self.run_onnx(permit, &inputs)).await
    }

    fn run_onnx(&self, permit: RunPermit, inputs: &Payload) -> Result<Payload> {
        self.run_times.measure(inputs.bytes().len(), || {
            let inputs = read_request(inputs.content_type(), inputs.bytes(), self.model.signature.as_ref())?;
            let layout = if matches!(inputs, Inputs::Frame(_)) { Layout::Records } else { Layout::Named };
            let outputs = permit.run(inputs, self.unknown_inputs())?;
            Ok(Payload::new(JSON, write_predictions(&outputs, layout)))
        })
    }

    /// Returns predictions as [`predict`](Self::predict) does, but converts a panic to an error of this request.
    ///
    /// # Errors
    /// Fails as [`predict`](Self::predict) does, and with `INTERNAL_ERROR` if the prediction panics.
    pub(crate) async fn predict_catching_panics(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        AssertUnwindSafe(self.predict(inputs)).catch_unwind().await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let message = text.unwrap_or("without a message");
            call::log(Level::Error, format!("a prediction panicked: {message}"));
            Err(Error::internal("the prediction failed inside of the server"))
        })
    }

    /// Calls `inputs` on a blocking thread, and runs the model on the returned inputs. Returns the name and the value
    /// of each output.
    ///
    /// # Errors
    /// Fails if the model fails.
    pub(crate) async fn run(&self, inputs: impl FnOnce() -> Inputs + Send + 'static) -> Result<Vec<(String, Output)>> {
        let onnx = match &self.backend {
            Backend::Onnx(onnx) => onnx,
            Backend::Python(server) => {
                let request = blocking(move || Ok(write_request(inputs()))).await?;
                let answer = server.predict(&Payload::new(JSON, request)).await?;
                return blocking(move || Ok(read_predictions(answer.bytes())?)).await;
            }
        };
        let permit = onnx.acquire().await?;
        let _terminate = permit.terminate_on_drop();
        let unknown = self.unknown_inputs();
        blocking(move || permit.run(inputs(), unknown)).await
    }

    /// Returns how the model treats inputs that it does not define. As in MLflow, it ignores such inputs if it has a
    /// signature, and rejects them otherwise.
    fn unknown_inputs(&self) -> UnknownInputs {
        let signature = self.model.signature.as_ref().and_then(|signature| signature.inputs.as_ref());
        if signature.is_some() { UnknownInputs::Ignore } else { UnknownInputs::Reject }
    }

    /// Returns the number of rows that every prediction must have; `None` if the model accepts any number.
    pub(crate) fn rows(&self) -> Option<usize> {
        match &self.backend {
            Backend::Onnx(onnx) => onnx.rows(),
            Backend::Python(_) => None,
        }
    }

    /// Returns the description of the model from its file `MLmodel`.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Waits until the model is loaded. Then predicts the model's saved input example, if it has one.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded, or if the prediction of its own example fails. Such a model must not be
    /// deployed.
    pub(crate) async fn try_example(self: &Arc<Self>) -> Result<()> {
        if let Backend::Python(server) = &self.backend {
            server.ready().await?;
        }
        let Some(example) = self.model.input_example()? else { return Ok(()) };
        let answer = Arc::clone(self).predict(Payload::new(JSON, example)).await;
        answer.map(drop).map_err(|error| {
            Error::new(
                error.code().clone(),
                format!("the model cannot predict its own input example: {}", error.message()),
            )
        })
    }

    /// Returns the model flavor that the caller requested or the plugin chose.
    pub(crate) fn flavor(&self) -> &str {
        &self.flavor
    }

    /// Returns the config of the model, without keys that its engine does not use.
    pub(crate) fn config(&self) -> &DeploymentConfig {
        &self.config
    }

    /// Returns the path of the Python interpreter that runs the model; `None` if ONNX Runtime runs it.
    pub(crate) fn python(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Onnx(_) => None,
            Backend::Python(server) => Some(server.python()),
        }
    }

    /// Returns the folder in the state directory that contains the copied model.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Returns the session options for ONNX Runtime that were saved with the model.
fn session_options(flavor: &OnnxFlavor) -> Result<SessionOptions> {
    for provider in flavor.providers.iter().filter(|provider| provider.has_options) {
        call::log(Level::Info, format!("ignoring the model's options for the provider `{}`", provider.name));
    }
    let providers = flavor.providers.iter().map(|provider| provider.name.clone()).collect();
    SessionOptions::of_model(&flavor.session_options, providers)
}
