//! A deployed model, loaded: what is asked of it, and what it answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result, blocking};
use serde_json::{Map, Value};

use crate::engine::{Engine, Places, Settings};
use crate::model::Model;
use crate::protocol::{self, Inputs, Layout, Output};
use crate::store::Folder;

/// The one flavor that is run in this process.
pub(crate) const FLAVOR: &str = "onnx";

/// A model that can predict. Its folder stays as long as it does.
pub(crate) struct Deployed {
    model: Model,
    engine: Engine,
    folder: Folder,
}

impl Deployed {
    /// Loads the copy of a model. It blocks.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where it is no model that can be run here, `INVALID_STATE` where there is no ONNX Runtime.
    pub(crate) fn load(folder: Folder, config: &Settings, places: &Places) -> Result<Self> {
        let model = Model::read(&folder.model())?;
        let Some(onnx) = &model.onnx else { return Err(no_flavor(&model.flavors)) };
        let flavor = Settings::of_flavor(onnx)?;
        let engine = Engine::load(&model.file(&onnx.data)?, config, flavor, places)?;
        Ok(Self { model, engine, folder })
    }

    /// Answers inputs as MLflow's scoring server does.
    ///
    /// # Errors
    /// As the protocol and the model say.
    pub(crate) async fn predict(self: Arc<Self>, inputs: Payload) -> Result<Payload> {
        let turn = self.engine.turn().await?;
        let _stop = turn.stop();
        blocking(move || {
            let inputs = protocol::read(inputs.content_type(), inputs.bytes(), self.model.signature.as_ref())?;
            let layout = if matches!(inputs, Inputs::Frame(_)) { Layout::Records } else { Layout::Named };
            let outputs = turn.run(inputs)?;
            Ok(Payload::new(JSON, protocol::write(&outputs, layout)))
        })
        .await
    }

    /// What the model gives for inputs, which are made where it may take time.
    ///
    /// # Errors
    /// As the model says.
    pub(crate) async fn run(&self, inputs: impl FnOnce() -> Inputs + Send + 'static) -> Result<Vec<(String, Output)>> {
        let turn = self.engine.turn().await?;
        let _stop = turn.stop();
        blocking(move || turn.run(inputs())).await
    }

    /// How many rows the model takes at once, where it takes neither more nor fewer.
    pub(crate) fn rows(&self) -> Option<usize> {
        self.engine.rows()
    }

    /// What the model's folder says of it.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Predicts the input example that was saved with the model, where there is one.
    ///
    /// # Errors
    /// What the model says to it: a model that cannot predict its own example is not deployed.
    pub(crate) async fn try_example(self: &Arc<Self>) -> Result<()> {
        let Some(example) = self.model.input_example()? else { return Ok(()) };
        let answer = Arc::clone(self).predict(Payload::new(JSON, example)).await;
        answer.map(drop).map_err(|error| {
            Error::new(
                error.code().clone(),
                format!("the model cannot predict its own input example: {}", error.message()),
            )
        })
    }

    /// The folder with its copy.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Refuses a flavor that is not run here, before a model is copied.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, with the flavors that the model has.
pub(crate) fn check_flavor(folder: &Path, flavor: Option<&str>) -> Result<()> {
    let model = Model::read(folder)?;
    match flavor {
        Some(flavor) if flavor != FLAVOR && model.flavors.iter().any(|each| each == flavor) => {
            Err(Error::invalid_parameter(format!("the flavor `{flavor}` is not run here: expected `{FLAVOR}`")))
        }
        Some(flavor) if flavor != FLAVOR => Err(no_flavor(&model.flavors)),
        _ if model.onnx.is_none() => Err(no_flavor(&model.flavors)),
        _ => Ok(()),
    }
}

fn no_flavor(flavors: &[String]) -> Error {
    let found: Vec<String> = flavors.iter().map(|flavor| format!("`{flavor}`")).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    Error::invalid_parameter(format!(
        "the model has no flavor that is run here: it has {found}, and expected is `{FLAVOR}`; save it with \
         mlflow.onnx.save_model"
    ))
}

impl Settings {
    /// What the model's flavor says of its sessions; keys that are not known are the saving side's matter.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where a value is not what MLflow writes.
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
        if let Some(name) = names.find(|name| ["path", "file", "ep.context"].iter().any(|word| name.contains(word))) {
            return Err(Error::invalid_parameter(format!(
                "the model's `onnx_session_options` have `{name}`, which names a file: a model may not, give it as the \
                 config key `extra_session_config` where it is meant"
            )));
        }
        let providers: Vec<_> = flavor.providers.iter().map(|provider| provider.name.clone()).collect();
        Ok(Self { providers: Some(providers).filter(|providers| !providers.is_empty()), ..settings })
    }
}
