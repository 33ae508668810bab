//! A deployed model, loaded: what is asked of it, and what it answers.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result, blocking};

use crate::engine::python::{Python, PythonServer};
use crate::engine::{LibrarySearch, OnnxModel, SessionOptions};
use crate::engine_config::DeploymentConfig;
use crate::model::{Model, OnnxFlavor};
use crate::store::Folder;
use mlflow_deploy_scoring::{Inputs, Layout, Output, read_predictions, read_request, write_predictions, write_request};

/// A model that can predict. Its folder stays as long as it does.
pub(crate) struct LoadedModel {
    model: Model,
    flavor: String,
    running: Running,
    folder: Folder,
}

/// What is to run a model: a Python, or else ONNX Runtime.
pub(crate) struct Runner {
    pub(crate) flavor: String,
    pub(crate) python: Option<Python>,
}

/// What runs a model.
enum Running {
    /// ONNX Runtime, in this process.
    Onnx(OnnxModel),
    /// MLflow's scoring server, in a process of its own, which lives as long as this value.
    Python(PythonServer),
}

impl LoadedModel {
    /// Loads the copy of a model, or begins to start its server. It blocks, on the plugin's runtime.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where it is no model that can be run here, `INVALID_STATE` where there is no ONNX Runtime.
    pub(crate) fn load(
        folder: Folder,
        runner: Runner,
        config: &DeploymentConfig,
        library_search: &LibrarySearch,
    ) -> Result<Self> {
        let Runner { flavor, python } = runner;
        let model = Model::read(&folder.model())?;
        let running = match &python {
            Some(python) => Running::Python(PythonServer::start(python, &folder.model(), config.start_timeout())),
            None => {
                let Some(onnx) = &model.onnx else {
                    let message = "the copy of the model has lost its flavor `onnx`: deploy it again";
                    return Err(Error::invalid_parameter(message));
                };
                let of_flavor = session_options(onnx)?;
                Running::Onnx(OnnxModel::load(&model.file(&onnx.data)?, &config.onnx, of_flavor, library_search)?)
            }
        };
        Ok(Self { model, flavor, running, folder })
    }

    /// Answers inputs as MLflow's scoring server does.
    ///
    /// # Errors
    /// As the protocol and the model say.
    pub(crate) async fn predict(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        let onnx = match &self.running {
            Running::Onnx(onnx) => onnx,
            Running::Python(server) => return server.predict(&inputs).await,
        };
        let permit = onnx.acquire().await?;
        let _terminate = permit.terminate_on_drop();
        blocking(move || {
            let inputs = read_request(inputs.content_type(), inputs.bytes(), self.model.signature.as_ref())?;
            let layout = if matches!(inputs, Inputs::Frame(_)) { Layout::Records } else { Layout::Named };
            let outputs = permit.run(inputs)?;
            Ok(Payload::new(JSON, write_predictions(&outputs, layout)))
        })
        .await
    }

    /// As [`predict`](Self::predict), of many requests that do not know each other: a panic is one request's, and the
    /// others go on.
    ///
    /// # Errors
    /// As the protocol and the model say.
    pub(crate) async fn predict_one_of_many(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        AssertUnwindSafe(self.predict(inputs)).catch_unwind().await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let message = text.unwrap_or("without a message");
            call::log(Level::Error, format!("a prediction panicked: {message}"));
            Err(Error::internal("the prediction failed inside of the server"))
        })
    }

    /// What the model gives for inputs, which are made where it may take time.
    ///
    /// # Errors
    /// As the model says.
    pub(crate) async fn run(&self, inputs: impl FnOnce() -> Inputs + Send + 'static) -> Result<Vec<(String, Output)>> {
        let onnx = match &self.running {
            Running::Onnx(onnx) => onnx,
            Running::Python(server) => {
                let request = blocking(move || Ok(write_request(inputs()))).await?;
                let answer = server.predict(&Payload::new(JSON, request)).await?;
                return blocking(move || Ok(read_predictions(answer.bytes())?)).await;
            }
        };
        let permit = onnx.acquire().await?;
        let _terminate = permit.terminate_on_drop();
        blocking(move || permit.run(inputs())).await
    }

    /// How many rows the model takes at once, where it takes neither more nor fewer.
    pub(crate) fn rows(&self) -> Option<usize> {
        match &self.running {
            Running::Onnx(onnx) => onnx.rows(),
            Running::Python(_) => None,
        }
    }

    /// What the model's folder says of it.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Waits until the model is loaded, and predicts the input example that was saved with it, where there is one.
    ///
    /// # Errors
    /// What the model says to it: a model that cannot predict its own example is not deployed.
    pub(crate) async fn try_example(self: &Arc<Self>) -> Result<()> {
        if let Running::Python(server) = &self.running {
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

    /// The flavor that was asked for, or chosen.
    pub(crate) fn flavor(&self) -> &str {
        &self.flavor
    }

    /// The Python that runs it.
    pub(crate) fn python(&self) -> Option<&Path> {
        match &self.running {
            Running::Onnx(_) => None,
            Running::Python(server) => Some(server.python()),
        }
    }

    /// The folder with its copy.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Returns the session options of the model's flavor.
fn session_options(flavor: &OnnxFlavor) -> Result<SessionOptions> {
    for provider in flavor.providers.iter().filter(|provider| provider.has_options) {
        call::log(Level::Info, format!("the model's options of `{}` are left out", provider.name));
    }
    let providers = flavor.providers.iter().map(|provider| provider.name.clone()).collect();
    SessionOptions::of_model(&flavor.session_options, providers)
}
