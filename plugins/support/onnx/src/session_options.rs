//! The options with which ONNX Runtime runs a model. They come from the flavor of the model and from the config of the
//! deployment.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, Result};
use ort::ep::{CPU, CUDA, CoreML, ExecutionProvider, ExecutionProviderDispatch, OpenVINO, TensorRT};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The maximum number of sessions, or of threads in a session, that a config can set. It is larger than the number of
/// processors in common machines.
const MAX_COUNT: usize = 1024;

/// The keys of `extra_session_config` that a model may set. These keys change only the computation. None of them takes
/// the name of a file.
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

/// The options of ONNX Runtime's sessions. If an option is `None`, ONNX Runtime's default applies.
///
/// The options, except `sessions`, are those of `onnx_session_options` and `onnx_execution_providers` in
/// `mlflow.onnx.save_model`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionOptions {
    /// The maximum number of sessions of the model, and so of predictions that run at the same time. If it is `None`,
    /// the default is the number of processors, but at most 4.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    pub(crate) graph_optimization_level: Option<OptimizationLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) extra_session_config: Option<BTreeMap<String, ConfigValue>>,
}

/// The way in which ONNX Runtime runs the branches of a graph: in parallel or one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExecutionMode {
    Parallel,
    Sequential,
}

/// The level of ONNX Runtime's graph optimizations: 0, 1, 2, 3 or 99, as in MLflow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(crate) struct OptimizationLevel(u8);

impl TryFrom<u8> for OptimizationLevel {
    type Error = String;

    fn try_from(level: u8) -> std::result::Result<Self, String> {
        let known = matches!(level, 0..=3 | 99);
        known.then_some(Self(level)).ok_or_else(|| {
            format!("unknown optimization level `{level}`: expected 0 (none), 1 (basic), 2 (extended), 3 (layout) or 99 (all)")
        })
    }
}

impl From<OptimizationLevel> for u8 {
    fn from(level: OptimizationLevel) -> Self {
        level.0
    }
}

impl From<OptimizationLevel> for GraphOptimizationLevel {
    fn from(level: OptimizationLevel) -> Self {
        match level.0 {
            0 => Self::Disable,
            1 => Self::Level1,
            2 => Self::Level2,
            3 => Self::Level3,
            _ => Self::All,
        }
    }
}

/// A value in `extra_session_config`, as ONNX Runtime reads it: a string. Numbers and booleans are converted to
/// strings; `true` becomes `1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "String")]
pub(crate) struct ConfigValue(String);

impl From<Value> for ConfigValue {
    fn from(value: Value) -> Self {
        Self(match value {
            Value::String(text) => text,
            Value::Bool(on) => u8::from(on).to_string(),
            other => other.to_string(),
        })
    }
}

impl From<ConfigValue> for String {
    fn from(value: ConfigValue) -> Self {
        value.0
    }
}

impl SessionOptions {
    /// The keys of all options.
    pub const KEYS: [&str; 7] = [
        "sessions",
        "providers",
        "intra_op_num_threads",
        "inter_op_num_threads",
        "execution_mode",
        "graph_optimization_level",
        "extra_session_config",
    ];

    /// Returns the session options that a model was saved with. `options` are the `onnx_session_options` of the model's
    /// flavor, and `providers` are the names of its execution providers. Ignores unknown keys. Limits the numbers of
    /// threads to the number of processors, because the model may have been saved on a larger machine.
    ///
    /// # Errors
    /// Fails with `INVALID_PARAMETER_VALUE` if a value is invalid, or if a model may not set a key in
    /// `extra_session_config`.
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
        let options: Self = serde_json::from_value(Value::Object(known))
            .map_err(|error| Error::invalid_parameter(format!("the model's `onnx_session_options`: {error}")))?;
        let mut names = options.extra_session_config.iter().flat_map(BTreeMap::keys);
        if let Some(name) = names.find(|name| !ALLOWED_SESSION_KEYS.contains(&name.as_str())) {
            return Err(Error::invalid_parameter(format!(
                "the model's `onnx_session_options` have `{}`, which a model may not set: if it is intended, set it in the \
                 config key `extra_session_config`",
                name.escape_debug()
            )));
        }
        let processors = available_parallelism().ok().and_then(|number| u16::try_from(number.get()).ok());
        let at_most = |threads: Option<u16>| threads.map(|threads| threads.min(processors.unwrap_or(1)));
        Ok(Self {
            intra_op_num_threads: at_most(options.intra_op_num_threads),
            inter_op_num_threads: at_most(options.inter_op_num_threads),
            providers: Some(providers).filter(|providers| !providers.is_empty()),
            ..options
        })
    }

    /// Returns these options. Takes each option that is not set from `others`.
    pub(crate) fn or(self, others: Self) -> Self {
        let extra = match (self.extra_session_config, others.extra_session_config) {
            (Some(own), Some(mut all)) => {
                all.extend(own);
                Some(all)
            }
            (own, other) => own.or(other),
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

    /// Checks the session options in the config of a deployment.
    ///
    /// # Errors
    /// Fails with `INVALID_PARAMETER_VALUE` if an execution provider is unknown, if the list of providers is empty, or
    /// if the number of sessions or threads is more than 1024.
    pub fn check(&self) -> Result<()> {
        for (key, count) in [
            ("sessions", self.sessions.map(NonZeroUsize::get)),
            ("intra_op_num_threads", self.intra_op_num_threads.map(usize::from)),
            ("inter_op_num_threads", self.inter_op_num_threads.map(usize::from)),
        ] {
            if let Some(count) = count.filter(|count| *count > MAX_COUNT) {
                return Err(Error::invalid_parameter(format!("`{key}` is {count}: expected at most {MAX_COUNT}")));
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
                return Err(Error::invalid_parameter(format!("unknown provider `{name}`: expected one of {known}")));
            }
        }
        Ok(())
    }

    /// Sets these options on a session builder. If `requires_providers` is true, an execution provider that ONNX
    /// Runtime does not have is an error; otherwise, it is ignored.
    pub(crate) fn apply(&self, builder: SessionBuilder, requires_providers: bool) -> Result<SessionBuilder> {
        let providers = self.available_providers(requires_providers)?;
        self.configure(builder, providers)
            .map_err(|error| Error::invalid_parameter(format!("ONNX Runtime rejected the session options: {error}")))
    }

    fn configure(
        &self,
        builder: SessionBuilder,
        providers: Vec<ExecutionProviderDispatch>,
    ) -> ort::Result<SessionBuilder> {
        // Spinning threads would use the processors between calls, as long as the model is loaded.
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
        for (key, ConfigValue(value)) in self.extra_session_config.iter().flatten() {
            builder = builder.with_config_entry(key, value)?;
        }
        Ok(builder.with_execution_providers(providers)?)
    }

    /// Returns the execution providers of these options that the loaded ONNX Runtime has. If `requires_providers` is
    /// true, any other provider is an error. Otherwise it is left out, as in MLflow, because a model names the
    /// providers of the machine that saved it.
    fn available_providers(&self, requires_providers: bool) -> Result<Vec<ExecutionProviderDispatch>> {
        let mut available = Vec::new();
        for name in self.providers.iter().flatten() {
            let known = PROVIDERS.iter().find(|known| known.name == name);
            if let Some(provider) = known.filter(|known| (known.is_available)().unwrap_or(false)) {
                available.push((provider.make)().error_on_failure());
            } else if requires_providers {
                return Err(Error::invalid_parameter(format!(
                    "the provider `{name}` is not part of this ONNX Runtime: install a build that has it, or remove it \
                     from `providers`"
                )));
            } else {
                call::log(
                    Level::Debug,
                    format!("ignored the model's provider `{name}`, which this ONNX Runtime does not have"),
                );
            }
        }
        Ok(available)
    }
}

/// An execution provider of ONNX Runtime, such as CUDA, that these options can name.
struct KnownProvider {
    /// The provider's name in MLflow and in ONNX Runtime, such as `CPUExecutionProvider`.
    name: &'static str,
    /// Returns true if the loaded ONNX Runtime has the provider.
    is_available: fn() -> ort::Result<bool>,
    make: fn() -> ExecutionProviderDispatch,
}

const PROVIDERS: &[KnownProvider] = &[
    KnownProvider { name: CPU::NAME, is_available: CPU::is_available, make: || CPU::default().build() },
    KnownProvider { name: CUDA::NAME, is_available: CUDA::is_available, make: || CUDA::default().build() },
    KnownProvider { name: CoreML::NAME, is_available: CoreML::is_available, make: || CoreML::default().build() },
    KnownProvider { name: OpenVINO::NAME, is_available: OpenVINO::is_available, make: || OpenVINO::default().build() },
    KnownProvider { name: TensorRT::NAME, is_available: TensorRT::is_available, make: || TensorRT::default().build() },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_all_options() {
        let options = SessionOptions {
            sessions: NonZeroUsize::new(1),
            providers: Some(Vec::new()),
            intra_op_num_threads: Some(1),
            inter_op_num_threads: Some(1),
            execution_mode: Some(ExecutionMode::Parallel),
            graph_optimization_level: Some(OptimizationLevel(1)),
            extra_session_config: Some(BTreeMap::new()),
        };
        let options = serde_json::to_value(options).unwrap();
        let keys: Vec<_> = options.as_object().unwrap().keys().collect();
        assert_eq!(keys, SessionOptions::KEYS);
    }

    #[test]
    fn more_than_1024_sessions_or_threads_are_rejected() {
        for key in ["sessions", "intra_op_num_threads", "inter_op_num_threads"] {
            let options =
                |number: usize| serde_json::from_value::<SessionOptions>(serde_json::json!({key: number})).unwrap();
            options(1024).check().unwrap();
            let error = options(1025).check().unwrap_err();
            assert_eq!(error.message(), format!("`{key}` is 1025: expected at most 1024"));
        }
        let options: SessionOptions = serde_json::from_str(r#"{"sessions": 9223372036854775807}"#).unwrap();
        options.check().unwrap_err();
    }
}
