//! The library without `async`: the same client, whose calls return when they are answered.
//!
//! It needs no runtime, and may be used on a thread that has one: the plugin works on threads of its own, so a call
//! gets its answer even where it keeps the only worker of a runtime waiting.
//!
//! ```
//! # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
//! use mlflow_deploy::args::{Predict, PredictStream};
//! use mlflow_deploy::blocking::{self, DeployClient};
//! use mlflow_deploy::{Host, JSON, Payload};
//!
//! let host = Host::builder().plugin(plugin).build();
//! let client = DeployClient::from(blocking::wait(host.get_deploy_client(Some("echo")))?);
//! let inputs = Payload::new(JSON, "1\n2\n");
//! let endpoint = Some("echo".to_owned());
//! let answer = client.predict(Predict { endpoint: endpoint.clone(), inputs: inputs.clone(), ..Predict::default() })?;
//! assert_eq!(answer.bytes(), inputs.bytes());
//! let mut chunks = client.predict_stream(&PredictStream { endpoint, inputs, ..PredictStream::default() })?;
//! assert_eq!(chunks.next().unwrap()?.json::<i32>()?, 1);
//! # Ok::<(), mlflow_deploy::Error>(())
//! ```

use std::time::Duration;

use mlflow_deploy_plugin_api::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy_plugin_api::{ClientOptions, Payload, Result};

use crate::Error;
use crate::client::deploy_client::for_each_operation;

/// Awaits any future of this crate on the thread that asks, such as [`Host::run_local`](crate::Host::run_local).
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    // A runtime's task may poll only so often before it has to yield, which this one does not until it is done.
    pollster::block_on(tokio::task::unconstrained(future))
}

/// [`get_deploy_client`](crate::get_deploy_client), for a client that blocks.
///
/// # Errors
/// As there.
pub fn get_deploy_client(target: Option<&str>) -> Result<DeployClient, Error> {
    wait(crate::get_deploy_client(target)).map(DeployClient)
}

/// [`get_deploy_client_with`](crate::get_deploy_client_with), for a client that blocks.
///
/// # Errors
/// As there.
pub fn get_deploy_client_with(target: Option<&str>, options: &ClientOptions) -> Result<DeployClient, Error> {
    wait(crate::get_deploy_client_with(target, options)).map(DeployClient)
}

/// A client of one target whose calls block. Made of a [`DeployClient`](crate::DeployClient), which it is inside.
#[derive(Clone, Debug)]
pub struct DeployClient(crate::DeployClient);

impl From<crate::DeployClient> for DeployClient {
    fn from(client: crate::DeployClient) -> Self {
        Self(client)
    }
}

impl AsRef<crate::DeployClient> for DeployClient {
    fn as_ref(&self) -> &crate::DeployClient {
        &self.0
    }
}

/// Declares the plain operations.
macro_rules! operations {
    ($($(#[$doc:meta])* $method:ident($arguments:ident)),* $(,)?) => {
        impl DeployClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// As for the async client.
                pub fn $method(&self, arguments: $arguments) -> Result<Payload> {
                    wait(self.0.$method(arguments))
                }
            )*
        }
    };
}

for_each_operation!(operations);

impl DeployClient {
    /// The same client with another limit to every call: `None` leaves it to the target's own.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self(self.0.with_timeout(timeout))
    }

    /// Asks for predictions that arrive in chunks.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where the target does not stream. All else comes through the iterator.
    pub fn predict_stream(&self, arguments: &PredictStream) -> Result<PredictionStream> {
        self.0.predict_stream(arguments).map(PredictionStream)
    }
}

/// Predictions as they arrive. It ends after the last, or after an error; dropping it cancels the call.
#[derive(Debug)]
pub struct PredictionStream(crate::PredictionStream);

impl Iterator for PredictionStream {
    type Item = Result<Payload>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next())
    }
}
