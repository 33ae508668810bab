//! A loaded model: predicts with ONNX Runtime in this process, or with MLflow's scoring server.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result, blocking};

use crate::config::DeploymentConfig;
use crate::engine::python::{Python, PythonServers};
use crate::engine::{LibrarySearch, OnnxModel, SessionOptions, UnknownInputs};
use crate::model::{Model, OnnxFlavor};
use crate::store::Folder;
use mlflow_deploy_scoring::{Inputs, Layout, Output, read_predictions, read_request, write_predictions, write_request};

/// A model that can predict. While this value exists, no process removes the folder of the copy.
pub(crate) struct LoadedModel {
    model: Model,
    flavor: String,
    backend: Backend,
    folder: Folder,
}

/// The selected way to run a model: a Python interpreter, or ONNX Runtime.
pub(crate) struct Runner {
    pub(crate) flavor: String,
    pub(crate) python: Option<Python>,
}

/// The engine that runs a model.
enum Backend {
    /// ONNX Runtime, in this process.
    Onnx(OnnxModel),
    /// MLflow's scoring server, in separate processes, which end when this value is dropped.
    Python(PythonServers),
}

impl LoadedModel {
    /// Loads the copy of a model into ONNX Runtime, or starts its Python server in the background. Blocks; must be
    /// called on a blocking thread of the plugin's runtime.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the model is invalid, `INVALID_STATE` if ONNX Runtime is missing.
    pub(crate) fn load(
        folder: Folder,
        runner: Runner,
        config: &DeploymentConfig,
        library_search: &LibrarySearch,
    ) -> Result<Self> {
        let Runner { flavor, python } = runner;
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
                Backend::Onnx(OnnxModel::load(&model.file(&onnx.data)?, &config.onnx, of_flavor, library_search)?)
            }
        };
        Ok(Self { model, flavor, backend, folder })
    }

    /// Answers the body of a request with predictions, as MLflow's scoring server does.
    ///
    /// # Errors
    /// Fails if the body violates the protocol, or if the model fails.
    pub(crate) async fn predict(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        let onnx = match &self.backend {
            Backend::Onnx(onnx) => onnx,
            Backend::Python(server) => return server.predict(&inputs).await,
        };
        let permit = onnx.acquire().await?;
        let _terminate = permit.terminate_on_drop();
        blocking(move || {
            let inputs = read_request(inputs.content_type(), inputs.bytes(), self.model.signature.as_ref())?;
            let layout = if matches!(inputs, Inputs::Frame(_)) { Layout::Records } else { Layout::Named };
            let outputs = permit.run(inputs, self.unknown_inputs())?;
            Ok(Payload::new(JSON, write_predictions(&outputs, layout)))
        })
        .await
    }

    /// Does the same as [`predict`](Self::predict), but a panic fails this request only.
    ///
    /// # Errors
    /// Fails as [`predict`](Self::predict) does, or with `INTERNAL_ERROR` if the prediction panics.
    pub(crate) async fn predict_catching_panics(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        AssertUnwindSafe(self.predict(inputs)).catch_unwind().await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let message = text.unwrap_or("without a message");
            call::log(Level::Error, format!("a prediction panicked: {message}"));
            Err(Error::internal("the prediction failed inside of the server"))
        })
    }

    /// Runs the model on the inputs that `inputs` returns. Calls `inputs` on a blocking thread.
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

    /// Returns the treatment of inputs that the model does not have. As in MLflow, they are ignored if the model has a
    /// signature. Otherwise they are rejected.
    fn unknown_inputs(&self) -> UnknownInputs {
        let signature = self.model.signature.as_ref().and_then(|signature| signature.inputs.as_ref());
        if signature.is_some() { UnknownInputs::Ignore } else { UnknownInputs::Reject }
    }

    /// Returns the number of rows that the model requires; `None` if it accepts any number.
    pub(crate) fn rows(&self) -> Option<usize> {
        match &self.backend {
            Backend::Onnx(onnx) => onnx.rows(),
            Backend::Python(_) => None,
        }
    }

    /// Returns the model's folder, as its file `MLmodel` describes it.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Waits until the model is loaded, and predicts its saved input example, if it has one.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded or cannot predict its own example. Such a model is not deployed.
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

    /// Returns the flavor that was requested or chosen.
    pub(crate) fn flavor(&self) -> &str {
        &self.flavor
    }

    /// Returns the Python interpreter that runs the model; `None` for ONNX Runtime.
    pub(crate) fn python(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Onnx(_) => None,
            Backend::Python(server) => Some(server.python()),
        }
    }

    /// Returns the folder of the copy.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Returns the session options of the model's flavor.
fn session_options(flavor: &OnnxFlavor) -> Result<SessionOptions> {
    for provider in flavor.providers.iter().filter(|provider| provider.has_options) {
        call::log(Level::Info, format!("ignoring the model's options for the provider `{}`", provider.name));
    }
    let providers = flavor.providers.iter().map(|provider| provider.name.clone()).collect();
    SessionOptions::of_model(&flavor.session_options, providers)
}
