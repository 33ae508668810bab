//! How a model's sessions are made: what its flavor says, and what the deployment's config says in its place.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, Result};
use ort::ep::{CPU, CUDA, CoreML, ExecutionProvider, ExecutionProviderDispatch, OpenVINO, TensorRT};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How many predictions of one deployment run at once, where nothing is said: as many as there are processors, and no
/// more than this, for each has a session with the model's weights.
const MAX_SESSIONS: usize = 4;

/// Sessions and threads that a config may ask for: more than any machine has processors, and few enough to be made.
const MAX_COUNT: usize = 1024;

/// What a model may say in `extra_session_config`: how it is computed, and never where something is read or written.
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

/// The settings; what is `None` is ONNX Runtime's to choose.
///
/// Source: `onnx_session_options` and `onnx_execution_providers` of `mlflow.onnx.save_model`; `sessions` is ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The number of predictions that run at once.
    pub sessions: Option<NonZeroUsize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intra_op_num_threads: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inter_op_num_threads: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution_mode: Option<ExecutionMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) graph_optimization_level: Option<Optimization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) extra_session_config: Option<BTreeMap<String, Entry>>,
}

/// Whether branches of the graph run hstack each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExecutionMode {
    Parallel,
    Sequential,
}

/// How far the graph is rewritten. MLflow writes ONNX Runtime's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(crate) struct Optimization(u8);

impl TryFrom<u8> for Optimization {
    type Error = String;

    fn try_from(level: u8) -> std::result::Result<Self, String> {
        let known = matches!(level, 0..=3 | 99);
        known.then_some(Self(level)).ok_or_else(|| {
            format!("`{level}` is no level: expected 0 (none), 1 (basic), 2 (extended), 3 (layout) or 99 (all)")
        })
    }
}

impl From<Optimization> for u8 {
    fn from(level: Optimization) -> Self {
        level.0
    }
}

impl From<Optimization> for GraphOptimizationLevel {
    fn from(level: Optimization) -> Self {
        match level.0 {
            0 => Self::Disable,
            1 => Self::Level1,
            2 => Self::Level2,
            3 => Self::Level3,
            _ => Self::All,
        }
    }
}

/// A value of `extra_session_config`, as text; people write numbers and truth values without quotes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "String")]
pub(crate) struct Entry(String);

impl From<Value> for Entry {
    fn from(value: Value) -> Self {
        Self(match value {
            Value::String(text) => text,
            Value::Bool(on) => u8::from(on).to_string(),
            other => other.to_string(),
        })
    }
}

impl From<Entry> for String {
    fn from(entry: Entry) -> Self {
        entry.0
    }
}

impl Settings {
    /// What the model's flavor says of its sessions; keys that are not known are the saving side's matter, and threads
    /// beyond the processors that there are would only be in each other's way.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where a value is not what MLflow writes.
    pub fn of_model(options: &Map<String, Value>, providers: Vec<String>) -> Result<Self> {
        const KNOWN: [&str; 5] = [
            "execution_mode",
            "extra_session_config",
            "graph_optimization_level",
            "inter_op_num_threads",
            "intra_op_num_threads",
        ];
        let known = options.iter().filter(|(key, _)| KNOWN.contains(&key.as_str()));
        let known: Map<String, Value> = known.map(|(key, value)| (key.clone(), value.clone())).collect();
        let settings: Self = serde_json::from_value(Value::Object(known))
            .map_err(|error| Error::invalid_parameter(format!("the model's `onnx_session_options`: {error}")))?;
        let mut names = settings.extra_session_config.iter().flat_map(BTreeMap::keys);
        if let Some(name) = names.find(|name| !ALLOWED_SESSION_KEYS.contains(&name.as_str())) {
            return Err(Error::invalid_parameter(format!(
                "the model's `onnx_session_options` have `{}`, which a model may not set: give it as the config key \
                 `extra_session_config` where it is meant",
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
        Ok(Self { providers: Some(providers).filter(|providers| !providers.is_empty()), ..settings })
    }

    /// These, and the others where these say nothing.
    pub(crate) fn or(self, others: Self) -> Self {
        let extra = match (self.extra_session_config, others.extra_session_config) {
            (Some(mine), Some(mut all)) => {
                all.extend(mine);
                Some(all)
            }
            (mine, theirs) => mine.or(theirs),
        };
        Self {
            sessions: self.sessions.or(others.sessions),
            providers: self.providers.or(others.providers),
            intra_op_num_threads: self.intra_op_num_threads.or(others.intra_op_num_threads),
            inter_op_num_threads: self.inter_op_num_threads.or(others.inter_op_num_threads),
            execution_mode: self.execution_mode.or(others.execution_mode),
            graph_optimization_level: self.graph_optimization_level.or(others.graph_optimization_level),
            extra_session_config: extra,
        }
    }

    /// How many predictions may run at once.
    pub(crate) fn concurrency(&self) -> usize {
        let processors = || available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_SESSIONS);
        self.sessions.map_or_else(processors, NonZeroUsize::get)
    }

    /// Refuses a config that cannot be meant.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` for a provider that nobody knows, or no provider at all, and for more sessions or threads
    /// than a machine can have.
    pub fn check(&self) -> Result<()> {
        for (key, given) in [
            ("sessions", self.sessions.map(NonZeroUsize::get)),
            ("intra_op_num_threads", self.intra_op_num_threads.map(usize::from)),
            ("inter_op_num_threads", self.inter_op_num_threads.map(usize::from)),
        ] {
            if let Some(given) = given.filter(|given| *given > MAX_COUNT) {
                return Err(Error::invalid_parameter(format!("`{key}` is {given}: expected at most {MAX_COUNT}")));
            }
        }
        if self.providers.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid_parameter(
                "`providers` is an empty list: expected at least CPUExecutionProvider",
            ));
        }
        for name in self.providers.iter().flatten() {
            if PROVIDERS.iter().all(|known| known.name != name) {
                let known: Vec<&str> = PROVIDERS.iter().map(|known| known.name).collect();
                let known = known.join(", ");
                return Err(Error::invalid_parameter(format!(
                    "the provider `{name}` is not known: expected one of {known}"
                )));
            }
        }
        Ok(())
    }

    /// Puts all of it into a builder. `is_chosen` says that the deployment's config asks for the providers, and not only the
    /// model.
    pub(crate) fn apply(&self, builder: SessionBuilder, is_chosen: bool) -> Result<SessionBuilder> {
        let providers = self.usable_providers(is_chosen)?;
        self.configured(builder, providers)
            .map_err(|error| Error::invalid_parameter(format!("ONNX Runtime refuses a session's settings: {error}")))
    }

    fn configured(
        &self,
        builder: SessionBuilder,
        providers: Vec<ExecutionProviderDispatch>,
    ) -> ort::Result<SessionBuilder> {
        // Threads that spin between calls would heat the machine for as long as a deployment is loaded.
        let mut builder = builder.with_intra_op_spinning(false)?.with_inter_op_spinning(false)?;
        if let Some(threads) = self.intra_op_num_threads {
            builder = builder.with_intra_threads(threads.into())?;
        }
        if let Some(threads) = self.inter_op_num_threads {
            builder = builder.with_inter_threads(threads.into())?;
        }
        if let Some(mode) = self.execution_mode {
            builder = builder.with_parallel_execution(mode == ExecutionMode::Parallel)?;
        }
        if let Some(level) = self.graph_optimization_level {
            builder = builder.with_optimization_level(level.into())?;
        }
        for (key, Entry(value)) in self.extra_session_config.iter().flatten() {
            builder = builder.with_config_entry(key, value)?;
        }
        Ok(builder.with_execution_providers(providers)?)
    }

    /// Models are saved with providers of the machine that made them: what this runtime lacks is left out, as MLflow does,
    /// unless the deployment's config asks for it.
    fn usable_providers(&self, is_chosen: bool) -> Result<Vec<ExecutionProviderDispatch>> {
        let mut usable = Vec::new();
        for name in self.providers.iter().flatten() {
            let known = PROVIDERS.iter().find(|known| known.name == name);
            if let Some(provider) = known.filter(|known| (known.is_available)().unwrap_or(false)) {
                usable.push((provider.make)().error_on_failure());
            } else if is_chosen {
                return Err(Error::invalid_parameter(format!(
                    "the provider `{name}` is not part of this ONNX Runtime: install one that has it, or leave it out \
                     of `providers`"
                )));
            } else {
                call::log(Level::Debug, format!("the model asks for `{name}`, which this ONNX Runtime does not have"));
            }
        }
        Ok(usable)
    }
}

/// A provider, by the name that MLflow and ONNX Runtime have for it.
struct Provider {
    name: &'static str,
    /// Whether the loaded runtime has it.
    is_available: fn() -> ort::Result<bool>,
    make: fn() -> ExecutionProviderDispatch,
}

const PROVIDERS: &[Provider] = &[
    Provider { name: CPU::NAME, is_available: CPU::is_available, make: || CPU::default().build() },
    Provider { name: CUDA::NAME, is_available: CUDA::is_available, make: || CUDA::default().build() },
    Provider { name: CoreML::NAME, is_available: CoreML::is_available, make: || CoreML::default().build() },
    Provider { name: OpenVINO::NAME, is_available: OpenVINO::is_available, make: || OpenVINO::default().build() },
    Provider { name: TensorRT::NAME, is_available: TensorRT::is_available, make: || TensorRT::default().build() },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_sessions_or_threads_than_a_machine() {
        for key in ["sessions", "intra_op_num_threads", "inter_op_num_threads"] {
            let settings =
                |number: usize| serde_json::from_value::<Settings>(serde_json::json!({key: number})).unwrap();
            settings(1024).check().unwrap();
            let error = settings(1025).check().unwrap_err();
            assert_eq!(error.message(), format!("`{key}` is 1025: expected at most 1024"));
        }
        let settings: Settings = serde_json::from_str(r#"{"sessions": 9223372036854775807}"#).unwrap();
        settings.check().unwrap_err();
    }
}
