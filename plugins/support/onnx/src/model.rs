//! A loaded ONNX model, its inputs and outputs, and its runs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use mlflow_deploy_scoring::{Inputs, Output};
use ort::session::{RunOptions, SessionInputValue};
use ort::value::ValueType;

use crate::bind_inputs::{InputSpec, InputSpecs, UnknownInputs};
use crate::exit_guard::ExitGuard;
use crate::library::LibrarySearch;
use crate::runtime::OnnxRuntime;
use crate::session_options::SessionOptions;
use crate::session_pool::{SessionFactory, SessionLease, SessionPool};
use crate::{external, values};

/// A loaded ONNX model.
pub struct OnnxModel {
    signature: Arc<ModelSignature>,
    pool: SessionPool,
}

/// The inputs and the outputs of a model, in the order in which the model declares them.
#[derive(Debug)]
struct ModelSignature {
    inputs: InputSpecs,
    outputs: Vec<String>,
}

impl OnnxModel {
    /// Loads an ONNX model from a file. Checks the model's files, and creates the first session. Blocks the thread.
    ///
    /// The options in `config` take precedence over those in `flavor`, which were saved with the model.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the model or an option is invalid, `INVALID_STATE` if ONNX Runtime is not
    /// available.
    pub fn load(file: &Path, config: &SessionOptions, flavor: SessionOptions, search: &LibrarySearch) -> Result<Self> {
        external::check(file)?;
        let factory = SessionFactory {
            runtime: OnnxRuntime::get(search)?,
            file: file.to_owned(),
            requires_providers: config.providers.is_some(),
            options: config.clone().or(flavor),
        };
        let session = factory.create()?;
        let required = session.inputs().iter().map(|input| input_spec(input.name(), input.dtype()));
        // An optional input that is not a tensor keeps its default.
        let optional = session.overridable_initializers();
        let optional = optional.iter().filter_map(|input| input_spec(input.name(), input.dtype()).ok()).collect();
        let inputs = InputSpecs { required: required.collect::<Result<_>>()?, optional };
        let outputs = session.outputs().iter().map(|output| output.name().to_owned()).collect();
        let signature = Arc::new(ModelSignature { inputs, outputs });
        Ok(Self { signature, pool: SessionPool::new(factory, session) })
    }

    /// Returns the number of rows that every request must have, if the model fixes this number.
    pub fn rows(&self) -> Option<usize> {
        let outermost = self.signature.inputs.required.iter().filter_map(|input| input.shape.first());
        outermost.filter_map(|size| usize::try_from(*size).ok()).find(|rows| *rows > 0)
    }

    /// Waits until the model can be run. Returns the permission to run it once.
    ///
    /// # Errors
    /// Fails if ONNX Runtime has no memory left.
    pub async fn acquire(&self) -> Result<RunPermit> {
        let options = Arc::new(RunOptions::new().map_err(failed)?);
        Ok(RunPermit { lease: self.pool.lease().await, options, signature: Arc::clone(&self.signature) })
    }
}

impl fmt::Debug for OnnxModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OnnxModel").field("signature", &self.signature).finish_non_exhaustive()
    }
}

/// The permission to run a model once.
pub struct RunPermit {
    lease: SessionLease,
    options: Arc<RunOptions>,
    signature: Arc<ModelSignature>,
}

impl RunPermit {
    /// Returns false if the run first has to create a session, which takes long.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.lease.has_session()
    }

    /// Returns a guard that stops the run if the guard is dropped before the run ends. A cancelled call drops it, for
    /// example.
    #[must_use]
    pub fn terminate_on_drop(&self) -> TerminateOnDrop {
        TerminateOnDrop(Arc::clone(&self.options))
    }

    /// Runs the model with these inputs. Returns the name and the value of each output, in the model's order. Blocks
    /// the thread.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the inputs do not match those of the model, `BAD_REQUEST` if the model fails with
    /// them.
    pub fn run(mut self, inputs: Inputs, unknown: UnknownInputs) -> Result<Vec<(String, Output)>> {
        let _guard = ExitGuard::for_run(&self.options);
        let mut bound = Vec::new();
        for (name, tensor) in self.signature.inputs.bind(inputs, unknown)? {
            bound.push((name, SessionInputValue::from(values::from_tensor(tensor)?)));
        }
        // The model is valid, because its first session was created.
        let session = self.lease.session().map_err(|error| {
            let message = format!("failed to create another session: {}", error.message());
            Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).retryable()
        })?;
        let results = session.run_with_options(bound, &self.options).map_err(failed)?;
        let outputs = self.signature.outputs.iter().map(|name| {
            let value =
                results.get(name).ok_or_else(|| Error::internal(format!("the model returned no output `{name}`")))?;
            Ok((name.clone(), values::to_output(name, value)?))
        });
        outputs.collect()
    }
}

impl fmt::Debug for RunPermit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RunPermit").field("signature", &self.signature).finish_non_exhaustive()
    }
}

/// Stops the run of a model when this value is dropped. Has no effect after the run has ended.
pub struct TerminateOnDrop(Arc<RunOptions>);

impl fmt::Debug for TerminateOnDrop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TerminateOnDrop").finish_non_exhaustive()
    }
}

impl Drop for TerminateOnDrop {
    fn drop(&mut self) {
        let _finished = self.0.terminate();
    }
}

fn failed(error: ort::Error) -> Error {
    Error::new(ErrorCode::BAD_REQUEST, format!("the model failed on the inputs: {}", error.to_string().trim_end()))
}

fn input_spec(name: &str, dtype: &ValueType) -> Result<InputSpec> {
    match dtype {
        ValueType::Tensor { ty, shape, .. } => {
            Ok(InputSpec { name: name.to_owned(), element_type: *ty, shape: shape.iter().copied().collect() })
        }
        other => Err(Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            format!("the model's input `{name}` has the type {other}: only tensors are supported"),
        )),
    }
}
