//! The blocking client, for programs without `async`.
//!
//! It needs no async runtime, but may be used on a thread of a runtime. Plugins run on their own threads, so a call
//! completes even if it blocks the only worker of the runtime.
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
//! let answer = client.predict(Predict::endpoint("echo", inputs.clone()))?;
//! assert_eq!(answer.bytes(), inputs.bytes());
//! let mut chunks = client.predict_stream(&PredictStream::endpoint("echo", inputs))?;
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

/// Blocks the current thread until a future of this crate completes, such as that of
/// [`Host::run_local`](crate::Host::run_local). Returns the output of the future.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    // Without `unconstrained`, Tokio would require the task to yield. The task cannot yield while it blocks the thread.
    pollster::block_on(tokio::task::unconstrained(future))
}

/// Creates a blocking client of a target. See [`get_deploy_client`](crate::get_deploy_client).
///
/// # Errors
/// The errors of [`get_deploy_client`](crate::get_deploy_client).
pub fn get_deploy_client(target: Option<&str>) -> Result<DeployClient, Error> {
    wait(crate::get_deploy_client(target)).map(DeployClient)
}

/// Creates a blocking client of a target with the given options. See
/// [`get_deploy_client_with`](crate::get_deploy_client_with).
///
/// # Errors
/// The errors of [`get_deploy_client_with`](crate::get_deploy_client_with).
pub fn get_deploy_client_with(target: Option<&str>, options: &ClientOptions) -> Result<DeployClient, Error> {
    wait(crate::get_deploy_client_with(target, options)).map(DeployClient)
}

/// A blocking client of one target. Wraps a [`DeployClient`](crate::DeployClient).
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

/// Declares a method for each operation that returns one result.
macro_rules! operations {
    ($($(#[$doc:meta])* $method:ident($arguments:ident)),* $(,)?) => {
        impl DeployClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// The errors of the same method of the asynchronous [`DeployClient`](crate::DeployClient).
                pub fn $method(&self, arguments: $arguments) -> Result<Payload> {
                    wait(self.0.$method(arguments))
                }
            )*
        }
    };
}

for_each_operation!(operations);

impl DeployClient {
    /// Returns the same client with another timeout for every call. With `None`, only the time limits of the target
    /// apply.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self(self.0.with_timeout(timeout))
    }

    /// Requests predictions that arrive in chunks.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the target does not support streams. The iterator returns all other errors.
    pub fn predict_stream(&self, arguments: &PredictStream) -> Result<PredictionStream> {
        self.0.predict_stream(arguments).map(PredictionStream)
    }
}

/// An iterator over predictions, which returns each chunk when it arrives. It ends after the last chunk or the first
/// error. Dropping it cancels the call.
#[derive(Debug)]
pub struct PredictionStream(crate::PredictionStream);

impl Iterator for PredictionStream {
    type Item = Result<Payload>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next())
    }
}
