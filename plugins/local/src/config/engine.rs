//! The config of a deployment, and the choice of the engine that runs the deployed model.

use std::collections::BTreeSet;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::{Config, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::engine::SessionOptions;
use crate::model::Model;

/// The name of the flavor that ONNX Runtime runs.
const ONNX: &str = "onnx";

/// The name of the flavor that MLflow's scoring server runs. MLflow adds this flavor to most models with another
/// flavor.
const PYTHON: &str = "python_function";

/// The engine that runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// ONNX Runtime, in this process.
    Onnx,
    /// MLflow's scoring server, in a separate Python process.
    Python,
}

/// The config keys that choose the engine of a deployment, and the config keys of the Python engine. `None` stands for
/// the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EngineConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<Engine>,
    /// The Python interpreter: a path, or the name of a program on `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PathBuf>,
    /// The maximum time for a Python server to start and load the model, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_timeout: Option<NonZeroU32>,
    /// The number of Python servers. Each server loads the model into its own memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<NonZeroU8>,
}

/// The config keys that only the Python engine uses.
const PYTHON_KEYS: [&str; 3] = ["python", "start_timeout", "workers"];

/// The config of a deployment, as the caller specifies it and `state.json` stores it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeploymentConfig {
    /// The keys that an earlier call has set. They are dropped if the engine of a new model does not use them.
    #[serde(skip)]
    stored: BTreeSet<String>,
    #[serde(flatten)]
    pub(crate) engine: EngineConfig,
    /// The config keys for ONNX Runtime.
    #[serde(flatten)]
    pub(crate) onnx: SessionOptions,
}

/// The engine that runs a deployed model, the flavor that the deployment's record contains, and the config without the
/// keys that the engine does not use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EngineChoice {
    pub(crate) engine: Engine,
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
    /// The stored keys that `config` no longer has.
    pub(crate) dropped: Vec<String>,
}

impl Engine {
    /// Returns the engine that runs models of the given flavor.
    pub(crate) fn of_flavor(flavor: &str) -> Self {
        if flavor == ONNX { Self::Onnx } else { Self::Python }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Python => "python",
        }
    }

    /// Returns the name of the flavor that a model must have to be run by the engine.
    fn needed_flavor(self) -> &'static str {
        match self {
            Self::Onnx => ONNX,
            Self::Python => PYTHON,
        }
    }

    /// Returns true if the engine uses this key of a deployment's config.
    fn uses(self, key: &str) -> bool {
        key == "engine" || self.keys().contains(&key)
    }

    /// Returns the config keys that only this engine uses.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Onnx => &SessionOptions::KEYS,
            Self::Python => &PYTHON_KEYS,
        }
    }
}

impl DeploymentConfig {
    pub(crate) fn new(engine: EngineConfig, onnx: SessionOptions) -> Self {
        Self { stored: BTreeSet::new(), engine, onnx }
    }

    /// Returns the maximum time for a Python server to start and load the model. The default is five minutes, which
    /// suffices for a large model on a slow disk.
    pub(crate) fn start_timeout(&self) -> Duration {
        const DEFAULT: u32 = 300;
        Duration::from_secs(self.engine.start_timeout.map_or(DEFAULT, NonZeroU32::get).into())
    }

    /// Returns the number of Python servers that run the model.
    pub(crate) fn workers(&self) -> usize {
        self.engine.workers.map_or(1, |workers| workers.get().into())
    }

    /// Checks the config keys for ONNX Runtime.
    ///
    /// # Errors
    /// Fails as [`SessionOptions::check`] does.
    pub(crate) fn check(&self) -> Result<()> {
        self.onnx.check()
    }

    /// Returns this config with the changes of an update. A key with the value `null` is reset to its default.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a key is unknown or has an invalid value.
    pub(crate) fn merge(&self, changes: Map<String, Value>) -> Result<Self> {
        let mut keys = self.keys()?;
        let stored = keys.keys().filter(|key| !changes.contains_key(*key)).cloned().collect();
        keys.extend(changes);
        Ok(Self { stored, ..Config::new(&keys)?.parse()? })
    }

    /// Chooses the engine that runs `model`. Uses the engine that the config or `flavor` requests. By default, uses
    /// ONNX Runtime for a model with the flavor `onnx`, and MLflow's scoring server for all other models. A stored
    /// request is ignored if `flavor` or the model contradicts it.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the model does not have the required flavor, if `flavor` and the requested engine
    /// contradict each other, or if the call has set keys of the other engine.
    pub(crate) fn choose(&self, model: &Model, flavor: Option<&str>) -> Result<EngineChoice> {
        let has = |flavor: &str| model.flavors.iter().any(|each| each == flavor);
        let contradicts = |engine: Engine| {
            !has(engine.needed_flavor()) || flavor.is_some_and(|flavor| Engine::of_flavor(flavor) != engine)
        };
        let is_outdated = self.stored.contains("engine") && self.engine.engine.is_some_and(contradicts);
        let engine = match (flavor, self.engine.engine.filter(|_| !is_outdated)) {
            (Some(flavor), _) if !has(flavor) => return Err(lacks(model, flavor)),
            (Some(flavor), Some(engine)) if engine != Engine::of_flavor(flavor) => {
                return Err(Error::invalid_parameter(format!(
                    "the flavor `{flavor}` is not run by the engine `{}`: specify only one of them",
                    engine.name()
                )));
            }
            (Some(flavor), _) => Engine::of_flavor(flavor),
            (None, Some(engine)) => engine,
            (None, None) if has(ONNX) => Engine::Onnx,
            (None, None) if has(PYTHON) => Engine::Python,
            (None, None) => return Err(lacks(model, &format!("{ONNX}` or `{PYTHON}"))),
        };
        let needed = engine.needed_flavor();
        if !has(needed) {
            return Err(lacks(model, needed));
        }
        let mut keys = self.keys()?;
        let strays = keys.keys().filter(|key| !engine.uses(key) || (is_outdated && *key == "engine")).cloned();
        let (dropped, given): (Vec<_>, Vec<_>) = strays.partition(|key| self.stored.contains(key));
        if !given.is_empty() {
            return Err(unused(&given, engine));
        }
        keys.retain(|key, _| !dropped.contains(key));
        let config = Config::new(&keys)?.parse()?;
        Ok(EngineChoice { engine, flavor: flavor.unwrap_or(needed).to_owned(), config, dropped })
    }

    /// Returns the keys that are set.
    fn keys(&self) -> Result<Map<String, Value>> {
        Config::new(self)?.parse()
    }

    /// Returns true if both configs request the same engine, or if neither requests one.
    pub(crate) fn is_same_engine(&self, other: &Self) -> bool {
        self.engine.engine == other.engine.engine
    }
}

/// Returns the error for keys that the caller has set and that the engine does not use.
fn unused(keys: &[String], engine: Engine) -> Error {
    let mut keys = keys.to_vec();
    keys.sort();
    let (name, keys, them) = (engine.name(), keys.join("`, `"), if keys.len() == 1 { "it" } else { "them" });
    let known = engine.keys().join("`, `");
    Error::invalid_parameter(format!(
        "the engine `{name}` does not use `{keys}` of the config: remove {them}; it uses `engine`, `{known}`"
    ))
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
    fn an_unknown_key_is_rejected() {
        let read = |config: Value| serde_json::from_value::<DeploymentConfig>(config);
        read(json!({"engine": "onnx", "sessions": 2, "start_timeout": 3, "extra_session_config": {"a": 1}})).unwrap();
        let error = read(json!({"sessions": 2, "session": 3})).unwrap_err();
        assert!(error.to_string().contains("unknown field `session`"), "{error}");
    }

    #[test]
    fn the_requested_engine_is_chosen_or_that_of_the_model() {
        let both = model(&["onnx", "python_function"]);
        let sklearn = model(&["python_function", "sklearn"]);
        let settings = |config: &Value| serde_json::from_value::<DeploymentConfig>(config.clone()).unwrap();
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
            (
                &both,
                json!({"python": "python3"}),
                None,
                "the engine `onnx` does not use `python` of the config: remove it; it uses `engine`, `sessions`, ",
            ),
            (
                &sklearn,
                json!({"sessions": 2, "providers": ["CPUExecutionProvider"]}),
                None,
                "the engine `python` does not use `providers`, `sessions` of the config: remove them; it uses `engine`, \
                 `python`, `start_timeout`, `workers`",
            ),
        ] {
            let error = settings(&config).choose(model, flavor).unwrap_err();
            assert!(error.message().contains(message), "{error}");
        }
    }

    #[test]
    fn stored_keys_of_another_engine_are_dropped_and_given_ones_are_refused() {
        let (onnx, sklearn) = (model(&["onnx"]), model(&["python_function", "sklearn"]));
        for (stored, changes, model, flavor, kept, dropped) in [
            (json!({"sessions": 2}), json!({}), &sklearn, None, json!({}), vec!["sessions"]),
            (
                json!({"sessions": 2, "providers": ["A"], "engine": "onnx"}),
                json!({"workers": 2}),
                &sklearn,
                Some("sklearn"),
                json!({"workers": 2}),
                vec!["engine", "providers", "sessions"],
            ),
            (
                json!({"python": "p", "engine": "python"}),
                json!({"sessions": 3}),
                &onnx,
                None,
                json!({"sessions": 3}),
                vec!["engine", "python"],
            ),
            (json!({"python": "p"}), json!({"python": null}), &onnx, None, json!({}), vec![]),
            (json!({"sessions": 2}), json!({"sessions": 3}), &onnx, None, json!({"sessions": 3}), vec![]),
        ] {
            let settings = serde_json::from_value::<DeploymentConfig>(stored.clone()).unwrap();
            let merged = settings.merge(changes.as_object().unwrap().clone()).unwrap();
            let mut choice = merged.choose(model, flavor).unwrap();
            choice.dropped.sort();
            assert_eq!(choice.dropped, dropped, "{stored} {changes}");
            assert_eq!(serde_json::to_value(&choice.config).unwrap(), kept, "{stored} {changes}");
        }
        let settings = serde_json::from_value::<DeploymentConfig>(json!({"sessions": 2})).unwrap();
        for changes in [json!({"sessions": 2}), json!({"providers": ["A"]}), json!({"engine": "onnx"})] {
            let merged = settings.merge(changes.as_object().unwrap().clone()).unwrap();
            merged.choose(&sklearn, None).unwrap_err();
        }
    }
}
