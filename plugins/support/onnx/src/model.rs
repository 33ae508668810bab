//! A loaded ONNX model: what it takes, and one run of it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use ort::session::{RunOptions, SessionInputValue};
use ort::value::{Outlet, ValueType};

use crate::bind_inputs::{Port, bind_inputs};
use crate::exit_guard::RunGuard;
use crate::library::Places;
use crate::runtime::Runtime;
use crate::session::{Lease, Pool, SessionConfig};
use crate::settings::Settings;
use crate::{external, values};
use mlflow_deploy_scoring::{Inputs, Output};

/// A model that can predict.
pub struct Onnx {
    ports: Arc<[Port]>,
    outputs: Arc<[String]>,
    pool: Pool,
}

impl Onnx {
    /// Loads a model: reads its files, and makes the first session. It blocks.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the model or a setting is not right, `INVALID_STATE` where there is no ONNX Runtime.
    pub fn load(file: &Path, config: &Settings, flavor: Settings, places: &Places) -> Result<Self> {
        external::check(file)?;
        let recipe = SessionConfig {
            runtime: Runtime::get(places)?,
            file: file.to_owned(),
            providers_are_chosen: config.providers.is_some(),
            settings: config.clone().or(flavor),
        };
        let session = recipe.session()?;
        let ports = session.inputs().iter().map(port).collect::<Result<_>>()?;
        let outputs = session.outputs().iter().map(|output| output.name().to_owned()).collect();
        Ok(Self { ports, outputs, pool: Pool::new(recipe, session) })
    }

    /// How many rows the model takes at once, where it takes neither more nor fewer.
    pub fn rows(&self) -> Option<usize> {
        let outermost = self.ports.iter().filter_map(|port| port.shape.first());
        outermost.filter_map(|size| usize::try_from(*size).ok()).find(|rows| *rows > 0)
    }

    /// Waits for a turn to run the model.
    ///
    /// # Errors
    /// Where ONNX Runtime has no memory left.
    pub async fn turn(&self) -> Result<Turn> {
        let options = Arc::new(RunOptions::new().map_err(failed)?);
        let (ports, outputs) = (Arc::clone(&self.ports), Arc::clone(&self.outputs));
        Ok(Turn { lease: self.pool.lease().await, options, ports, outputs })
    }
}

/// The right to run a model once.
pub struct Turn {
    lease: Lease,
    options: Arc<RunOptions>,
    ports: Arc<[Port]>,
    outputs: Arc<[String]>,
}

/// Stops a run when it is dropped, as it is when the caller gives up; after the run it does nothing.
pub struct Stop(Arc<RunOptions>);

impl Turn {
    /// What stops the run.
    pub fn stop(&self) -> Stop {
        Stop(Arc::clone(&self.options))
    }

    /// Runs the model on inputs; outputs come in the model's order. It blocks.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the inputs are not what the model takes, `BAD_REQUEST` where it fails on them.
    pub fn run(mut self, inputs: Inputs) -> Result<Vec<(String, Output)>> {
        let _inside = RunGuard::to_run(&self.options);
        let mut fed = Vec::with_capacity(self.ports.len());
        for (name, tensor) in bind_inputs(&self.ports, inputs)? {
            fed.push((name, SessionInputValue::from(values::value(tensor)?)));
        }
        // The model is not at fault, for the first session was made of it.
        let session = self.lease.session().map_err(|error| {
            let message = format!("failed to make one more session: {}", error.message());
            Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).retryable()
        })?;
        let results = session.run_with_options(fed, &self.options).map_err(failed)?;
        let named = self.outputs.iter().map(|name| {
            let value =
                results.get(name).ok_or_else(|| Error::internal(format!("the model gave no output `{name}`")))?;
            Ok((name.clone(), values::output(name, value)?))
        });
        named.collect()
    }
}

impl fmt::Debug for Onnx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Onnx")
            .field("ports", &self.ports)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Turn")
            .field("ports", &self.ports)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stop").finish_non_exhaustive()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        // It fails only where there is nothing to stop.
        let _nothing = self.0.terminate();
    }
}

fn failed(error: ort::Error) -> Error {
    Error::new(ErrorCode::BAD_REQUEST, format!("the model failed on the inputs: {}", error.to_string().trim_end()))
}

/// What a model takes in one of its inputs.
fn port(input: &Outlet) -> Result<Port> {
    match input.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            Ok(Port { name: input.name().to_owned(), element: *ty, shape: shape.iter().copied().collect() })
        }
        other => Err(Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            format!("the model's input `{}` is a {other}: only tensors can be given", input.name()),
        )),
    }
}
