//! A loaded model: predicts with ONNX Runtime in this process, or with MLflow's scoring server.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use futures_util::FutureExt;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result, blocking};
use serde_json::{Map, Value};

use crate::config::DeploymentConfig;
use crate::engine::python::{Python, Server};
use crate::engine::{Onnx, Places, Settings};
use crate::model::Model;
use crate::store::Folder;
use mlflow_deploy_scoring::{Inputs, Layout, Output, read_predictions, read_request, write_predictions, write_request};

/// The keys of `extra_session_config` that a model may set: they concern the computation, and name no files.
const ALLOWED_SESSION_KEYS: [&str; 19] = [
    "mlas.enable_gemm_fastmath_arm64_bfloat16",
    "optimization.disable_specified_optimizers",
    "optimization.enable_cast_chain_elimination",
    "optimization.enable_gelu_approximation",
    "session.allow_released_opsets_only",
    "session.disable_aot_function_inlining",
    "session.disable_double_qdq_remover",
    "session.disable_prepacking",
    "session.disable_quant_qdq",
    "session.dynamic_block_base",
    "session.enable_quant_qdq_cleanup",
    "session.force_spinning_stop",
    "session.inter_op.allow_spinning",
    "session.intra_op.allow_spinning",
    "session.qdq_matmulnbits_accuracy_level",
    "session.qdqisint8allowed",
    "session.set_denormal_as_zero",
    "session.strict_shape_type_inference",
    "session.x64quantprecision",
];

/// A model that can predict. Keeps the folder of its copy from being removed.
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
    Onnx(Onnx),
    /// MLflow's scoring server, in a separate process, which lives as long as this value.
    Python(Server),
}

impl LoadedModel {
    /// Loads the copy of a model, or begins to start its server. Blocks; call it on a blocking thread of the plugin's
    /// runtime.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the model is invalid, `INVALID_STATE` if ONNX Runtime is missing.
    pub(crate) fn load(folder: Folder, runner: Runner, config: &DeploymentConfig, places: &Places) -> Result<Self> {
        let Runner { flavor, python } = runner;
        let model = Model::read(&folder.model())?;
        let backend = match &python {
            Some(python) => Backend::Python(Server::start(python, &folder.model(), config.start_timeout())),
            None => {
                let Some(onnx) = &model.onnx else {
                    let message = "the copy of the model has lost its flavor `onnx`: deploy it again";
                    return Err(Error::invalid_parameter(message));
                };
                let of_flavor = Settings::of_flavor(onnx)?;
                Backend::Onnx(Onnx::load(&model.file(&onnx.data)?, &config.onnx, of_flavor, places)?)
            }
        };
        Ok(Self { model, flavor, backend, folder })
    }

    /// Predicts the body of a request, as MLflow's scoring server does.
    ///
    /// # Errors
    /// Those of the protocol and the model.
    pub(crate) async fn predict(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        let onnx = match &self.backend {
            Backend::Onnx(onnx) => onnx,
            Backend::Python(server) => return server.predict(&inputs).await,
        };
        let turn = onnx.turn().await?;
        let _stop = turn.stop();
        blocking(move || {
            let inputs = read_request(inputs.content_type(), inputs.bytes(), self.model.signature.as_ref())?;
            let layout = if matches!(inputs, Inputs::Frame(_)) { Layout::Records } else { Layout::Named };
            let outputs = turn.run(inputs)?;
            Ok(Payload::new(JSON, write_predictions(&outputs, layout)))
        })
        .await
    }

    /// As [`predict`](Self::predict), but a panic fails this request only.
    ///
    /// # Errors
    /// Those of the protocol and the model, and `INTERNAL_ERROR` if the prediction panicked.
    pub(crate) async fn predict_catching_panics(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        AssertUnwindSafe(self.predict(inputs)).catch_unwind().await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let message = text.unwrap_or("without a message");
            call::log(Level::Error, format!("a prediction panicked: {message}"));
            Err(Error::internal("the prediction failed inside of the server"))
        })
    }

    /// Runs the model. `inputs` is called on a thread that may block.
    ///
    /// # Errors
    /// Those of the model.
    pub(crate) async fn run(&self, inputs: impl FnOnce() -> Inputs + Send + 'static) -> Result<Vec<(String, Output)>> {
        let onnx = match &self.backend {
            Backend::Onnx(onnx) => onnx,
            Backend::Python(server) => {
                let request = blocking(move || Ok(write_request(inputs()))).await?;
                let answer = server.predict(&Payload::new(JSON, request)).await?;
                return blocking(move || Ok(read_predictions(answer.bytes())?)).await;
            }
        };
        let turn = onnx.turn().await?;
        let _stop = turn.stop();
        blocking(move || turn.run(inputs())).await
    }

    /// Returns the number of rows that the model requires; `None` if it accepts any number.
    pub(crate) fn rows(&self) -> Option<usize> {
        match &self.backend {
            Backend::Onnx(onnx) => onnx.rows(),
            Backend::Python(_) => None,
        }
    }

    /// Returns the description of the model in its folder.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Waits until the model is loaded, and predicts its saved input example, if it has one.
    ///
    /// # Errors
    /// Those of the model. A model that cannot predict its own example is not deployed.
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

    /// Returns the requested or chosen flavor.
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

impl Settings {
    /// Reads the session options of a model's flavor. Ignores unknown keys, and limits threads to the number of
    /// processors.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a value is not one that MLflow writes, or the model sets a key that it may not set.
    fn of_flavor(flavor: &crate::model::OnnxFlavor) -> Result<Self> {
        const KNOWN: [&str; 5] = [
            "execution_mode",
            "extra_session_config",
            "graph_optimization_level",
            "inter_op_num_threads",
            "intra_op_num_threads",
        ];
        let known = flavor.session_options.iter().filter(|(key, _)| KNOWN.contains(&key.as_str()));
        let known: Map<String, Value> = known.map(|(key, value)| (key.clone(), value.clone())).collect();
        let settings: Self = serde_json::from_value(Value::Object(known))
            .map_err(|error| Error::invalid_parameter(format!("the model's `onnx_session_options`: {error}")))?;
        let mut names = settings.extra_session_config.iter().flat_map(BTreeMap::keys);
        if let Some(name) = names.find(|name| !ALLOWED_SESSION_KEYS.contains(&name.as_str())) {
            return Err(Error::invalid_parameter(format!(
                "the model's `onnx_session_options` have `{}`, which a model may not set: to use it, set it in the \
                 config key `extra_session_config`",
                name.escape_debug()
            )));
        }
        let processors = available_parallelism().ok().and_then(|number| u16::try_from(number.get()).ok());
        let at_most = |threads: Option<u16>| threads.map(|threads| threads.min(processors.unwrap_or(1)));
        let settings = Self {
            intra_op_num_threads: at_most(settings.intra_op_num_threads),
            inter_op_num_threads: at_most(settings.inter_op_num_threads),
            ..settings
        };
        for provider in flavor.providers.iter().filter(|provider| provider.has_options) {
            call::log(Level::Info, format!("ignoring the model's options of the provider `{}`", provider.name));
        }
        let providers: Vec<_> = flavor.providers.iter().map(|provider| provider.name.clone()).collect();
        Ok(Self { providers: Some(providers).filter(|providers| !providers.is_empty()), ..settings })
    }
}
