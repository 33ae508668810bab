//! Which engine runs a model: what was asked for, and what the model has. And the config that says how.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::engine::SessionOptions;
use crate::model::Model;

/// The flavor that is run in this process.
const ONNX: &str = "onnx";

/// The flavor that Python runs; models of every other flavor have it, too.
const PYTHON: &str = "python_function";

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// ONNX Runtime, in this process.
    Onnx,
    /// MLflow's scoring server, in a process of its own.
    Python,
}

/// The part of a deployment's config that chooses an engine, and is for Python; what is `None` is chosen here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EngineConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<Engine>,
    /// The interpreter: a path, or a name on `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PathBuf>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_timeout: Option<NonZeroU32>,
}

/// The config of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeploymentConfig {
    #[serde(flatten)]
    pub(crate) engine: EngineConfig,
    /// What is for ONNX Runtime.
    #[serde(flatten)]
    pub(crate) onnx: SessionOptions,
}

/// What runs a deployment, and the flavor that it says it has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) engine: Engine,
    pub(crate) flavor: String,
}

impl Engine {
    /// What runs a flavor.
    pub(crate) fn of_flavor(flavor: &str) -> Self {
        if flavor == ONNX { Self::Onnx } else { Self::Python }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Python => "python",
        }
    }
}

impl DeploymentConfig {
    /// How long a model's server may take to start: enough to load a large model from a slow disk.
    pub(crate) fn start_timeout(&self) -> Duration {
        const DEFAULT: u32 = 300;
        Duration::from_secs(self.engine.start_timeout.map_or(DEFAULT, NonZeroU32::get).into())
    }

    /// Refuses a config that cannot be meant.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` as [`SessionOptions::check`].
    pub(crate) fn check(&self) -> Result<()> {
        self.onnx.check()
    }

    /// What runs a model: the engine or the flavor that was asked for, or else ONNX Runtime where the model is for it.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the model does not have it, with the flavors that it has; and where the config is
    /// for another engine.
    pub(crate) fn choose(&self, model: &Model, flavor: Option<&str>) -> Result<Choice> {
        let has = |flavor: &str| model.flavors.iter().any(|each| each == flavor);
        let engine = match (flavor, self.engine.engine) {
            (Some(flavor), _) if !has(flavor) => return Err(lacks(model, flavor)),
            (Some(flavor), Some(engine)) if engine != Engine::of_flavor(flavor) => {
                return Err(Error::invalid_parameter(format!(
                    "the flavor `{flavor}` is not run by the engine `{}`: leave one of them out",
                    engine.name()
                )));
            }
            (Some(flavor), _) => Engine::of_flavor(flavor),
            (None, Some(engine)) => engine,
            (None, None) if has(ONNX) => Engine::Onnx,
            (None, None) if has(PYTHON) => Engine::Python,
            (None, None) => return Err(lacks(model, &format!("{ONNX}` or `{PYTHON}"))),
        };
        let needed = if engine == Engine::Onnx { ONNX } else { PYTHON };
        if !has(needed) {
            return Err(lacks(model, needed));
        }
        self.check_engine(engine)?;
        Ok(Choice { engine, flavor: flavor.unwrap_or(needed).to_owned() })
    }

    /// Whether another config asks for the same engine.
    pub(crate) fn is_same_engine(&self, other: &Self) -> bool {
        self.engine.engine == other.engine.engine
    }

    /// Refuses what is for the other engine.
    fn check_engine(&self, engine: Engine) -> Result<()> {
        let stray = match engine {
            Engine::Onnx if self.engine.python.is_some() => "`python` is",
            Engine::Onnx if self.engine.start_timeout.is_some() => "`start_timeout` is",
            Engine::Python if self.onnx != SessionOptions::default() => "settings of ONNX Runtime's sessions are",
            Engine::Onnx | Engine::Python => return Ok(()),
        };
        let name = engine.name();
        Err(Error::invalid_parameter(format!("{stray} in the config, and the engine is `{name}`: leave that out")))
    }
}

fn lacks(model: &Model, flavor: &str) -> Error {
    let found: Vec<String> = model.flavors.iter().map(|flavor| format!("`{flavor}`")).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let advice = if flavor == ONNX { "; save it with mlflow.onnx.save_model" } else { "" };
    Error::invalid_parameter(format!("the model has no flavor `{flavor}`: it has {found}{advice}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(flavors: &[&str]) -> Model {
        let folder = tempfile::tempdir().unwrap();
        let flavors: Vec<String> = flavors.iter().map(|name| format!("  {name}: {{data: model}}")).collect();
        std::fs::write(folder.path().join("MLmodel"), format!("flavors:\n{}\n", flavors.join("\n"))).unwrap();
        Model::read(folder.path()).unwrap()
    }

    #[test]
    fn a_key_that_nobody_knows_is_refused() {
        let read = |config: serde_json::Value| serde_json::from_value::<DeploymentConfig>(config);
        read(json!({"engine": "onnx", "sessions": 2, "start_timeout": 3, "extra_session_config": {"a": 1}})).unwrap();
        let error = read(json!({"sessions": 2, "session": 3})).unwrap_err();
        assert!(error.to_string().contains("unknown field `session`"), "{error}");
    }

    #[test]
    fn the_engine_is_the_model_s_or_the_one_that_was_asked_for() {
        let both = model(&["onnx", "python_function"]);
        let sklearn = model(&["python_function", "sklearn"]);
        let settings = |config: &serde_json::Value| serde_json::from_value::<DeploymentConfig>(config.clone()).unwrap();
        for (model, config, flavor, chosen) in [
            (&both, json!({}), None, (Engine::Onnx, "onnx")),
            (&both, json!({"sessions": 2}), Some("onnx"), (Engine::Onnx, "onnx")),
            (&both, json!({"engine": "python"}), None, (Engine::Python, "python_function")),
            (&both, json!({}), Some("python_function"), (Engine::Python, "python_function")),
            (&sklearn, json!({}), None, (Engine::Python, "python_function")),
            (&sklearn, json!({"python": "python3", "start_timeout": 9}), Some("sklearn"), (Engine::Python, "sklearn")),
        ] {
            let choice = settings(&config).choose(model, flavor).unwrap();
            assert_eq!((choice.engine, choice.flavor.as_str()), chosen, "{config} {flavor:?}");
        }
        for (model, config, flavor, message) in [
            (
                &sklearn,
                json!({"engine": "onnx"}),
                None,
                "the model has no flavor `onnx`: it has `python_function`, `sklearn`",
            ),
            (&both, json!({}), Some("sklearn"), "the model has no flavor `sklearn`: it has `onnx`, `python_function`"),
            (&both, json!({"engine": "python"}), Some("onnx"), "`onnx` is not run by the engine `python`"),
            (&both, json!({"python": "python3"}), None, "`python` is in the config, and the engine is `onnx`"),
            (
                &sklearn,
                json!({"sessions": 2}),
                None,
                "ONNX Runtime's sessions are in the config, and the engine is `python`",
            ),
        ] {
            let error = settings(&config).choose(model, flavor).unwrap_err();
            assert!(error.message().contains(message), "{error}");
        }
    }
}
