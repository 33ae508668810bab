//! A client of one target: every operation by its name, each within the client's limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::args::{
    Arguments, CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint,
    Invoke, ListDeployments, ListEndpoints, Predict, PredictStream, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy_plugin_api::ffi::{RemoteClient, RemoteStream};
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Operation, Payload, Result};

use crate::client::timeout::race;

/// Longer limits are as good as none, and more than a clock can say: a hundred years.
const MAX_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A client of one target. Clones share it and cost next to nothing; it is closed when the last of them has gone.
///
/// Futures may be awaited in any runtime, or in none. Dropping one cancels its call in the plugin.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
/// # mlflow_deploy::blocking::wait(async {
/// use std::time::Duration;
///
/// use mlflow_deploy::args::{GetEndpoint, PredictStream};
/// use mlflow_deploy::{ErrorCode, Host, JSON, Operation, Payload, Record};
///
/// let client = Host::builder().plugin(plugin).build().get_deploy_client(Some("echo")).await?;
/// let client = client.with_timeout(Some(Duration::from_secs(5)));
/// assert!(client.supports(Operation::PredictStream) && !client.supports(Operation::CreateDeployment));
///
/// let record = Record::try_from(&client.get_endpoint(GetEndpoint { endpoint: "echo".to_owned() }).await?)?;
/// assert_eq!(record.name(), Some("echo"));
/// let missing = client.get_endpoint(GetEndpoint { endpoint: "nope".to_owned() }).await.unwrap_err();
/// assert_eq!(missing.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
///
/// let inputs = Payload::new(JSON, "1\n2\n");
/// let mut chunks = client.predict_stream(&PredictStream { inputs, ..PredictStream::default() })?;
/// let mut sum = 0;
/// while let Some(chunk) = chunks.next().await {
///     sum += chunk?.json::<i32>()?;
/// }
/// assert_eq!(sum, 3);
/// # Ok::<(), mlflow_deploy::Error>(())
/// # }).unwrap();
/// ```
///
/// Source: `mlflow.deployments.BaseDeploymentClient`.
#[derive(Clone, Debug)]
pub struct DeployClient {
    remote: RemoteClient,
    manifest: Arc<Manifest>,
    timeout: Option<Duration>,
}

/// Hands the plain operations to a macro that declares a method for each: the async client's and the blocking one's.
macro_rules! for_each_operation {
    ($declare:ident) => {
        $declare! {
            /// Deploys a model under a name; answers a record with `name` and `flavor`.
            create_deployment(CreateDeployment),
            /// Replaces a deployment's model, flavor or config.
            update_deployment(UpdateDeployment),
            /// Takes a deployment down; one that is gone already is no error.
            delete_deployment(DeleteDeployment),
            /// Describes one deployment: a record with `name`.
            get_deployment(GetDeployment),
            /// Describes every deployment: a list of records.
            list_deployments(ListDeployments),
            /// Makes an endpoint; answers a record with `name`.
            create_endpoint(CreateEndpoint),
            /// Changes an endpoint's config.
            update_endpoint(UpdateEndpoint),
            /// Removes an endpoint; one that is gone already is no error.
            delete_endpoint(DeleteEndpoint),
            /// Describes one endpoint: a record with `name`.
            get_endpoint(GetEndpoint),
            /// Describes every endpoint: a list of records.
            list_endpoints(ListEndpoints),
            /// Asks a deployment or an endpoint for predictions.
            predict(Predict),
            /// Asks for explanations of predictions.
            explain(Explain),
            /// Runs an operation of the target's own, by the name in its manifest.
            invoke(Invoke),
        }
    };
}
pub(crate) use for_each_operation;

/// Declares the plain operations.
macro_rules! operations {
    ($($(#[$doc:meta])* $method:ident($arguments:ident)),* $(,)?) => {
        impl DeployClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// What the target answers; `NOT_IMPLEMENTED` where it does not support the operation;
                /// `DEADLINE_EXCEEDED` where it takes longer than the client's limit.
                pub async fn $method(&self, arguments: $arguments) -> Result<Payload> {
                    self.call(arguments).await
                }
            )*
        }
    };
}

for_each_operation!(operations);

impl DeployClient {
    pub(crate) fn new(remote: RemoteClient, manifest: Arc<Manifest>, timeout: Option<Duration>) -> Self {
        Self { remote, manifest, timeout }
    }

    /// The same client with another limit to every call: `None` leaves it to the target's own.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the target supports an operation. Asks nobody.
    pub fn supports(&self, operation: Operation) -> bool {
        self.remote.supports(operation)
    }

    /// Asks for predictions that arrive in chunks.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where the target does not stream. All else comes through the stream.
    pub fn predict_stream(&self, arguments: &PredictStream) -> Result<PredictionStream> {
        let stream = self.remote.predict_stream(arguments, self.timeout)?;
        let deadline = self.timeout.map(|limit| (Instant::now() + limit.min(MAX_TIMEOUT), limit));
        Ok(PredictionStream { stream: Some(stream), deadline })
    }

    /// Closes the client for all its clones: calls on their way answer `CANCELLED`, and later ones fail.
    pub fn close(&self) {
        self.remote.close();
    }

    async fn call<A: Arguments>(&self, arguments: A) -> Result<Payload> {
        within(self.timeout, self.remote.call(arguments, self.timeout)).await
    }
}

/// Predictions as they arrive. Dropping it cancels the call.
#[derive(Debug)]
pub struct PredictionStream {
    stream: Option<RemoteStream>,
    deadline: Option<(Instant, Duration)>,
}

impl PredictionStream {
    /// The next chunk; `None` after the last, or after an error.
    pub async fn next(&mut self) -> Option<Result<Payload>> {
        let stream = self.stream.as_mut()?;
        let item = match self.deadline {
            None => stream.next().await,
            Some((deadline, limit)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                race(stream.next(), left).await.unwrap_or_else(|| Some(Err(out_of_time(limit))))
            }
        };
        if !matches!(item, Some(Ok(_))) {
            self.stream = None;
        }
        item
    }
}

/// Awaits a call no longer than its limit. Giving it up drops it, which cancels it in the plugin.
pub(crate) async fn within<T, E: From<Error>>(
    limit: Option<Duration>,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match limit {
        None => call.await,
        Some(limit) => race(call, limit.min(MAX_TIMEOUT)).await.unwrap_or_else(|| Err(out_of_time(limit).into())),
    }
}

fn out_of_time(limit: Duration) -> Error {
    let message = format!("no answer within {}: allow more time, or ask for less", describe(limit));
    Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable()
}

/// A limit as a person says it: what is less than a tenth of a second is no zero.
fn describe(limit: Duration) -> String {
    let seconds = limit.as_secs_f64();
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_limit_is_no_zero() {
        for (seconds, said) in [(30.0, "30.0 s"), (0.5, "0.5 s"), (0.1, "0.1 s"), (0.05, "50.0 ms"), (0.001, "1.0 ms")]
        {
            assert_eq!(describe(Duration::from_secs_f64(seconds)), said);
        }
    }
}
