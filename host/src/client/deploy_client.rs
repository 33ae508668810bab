//! The asynchronous client of a target.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use mlflow_deploy_plugin_api::args::{
    Arguments, CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint,
    Invoke, ListDeployments, ListEndpoints, Predict, PredictStream, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy_plugin_api::ffi::{RemoteClient, RemoteStream};
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{Deadline, Error, Operation, Payload, Redactor, Result};

use crate::client::timeout::{Timer, within};

/// A client of one target. Clones are cheap and share the client, which is closed when the last clone is dropped.
///
/// Futures may be awaited in any async runtime, or in none. Dropping a future cancels its call in the plugin.
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
/// let record = Record::try_from(&client.get_endpoint(GetEndpoint::new("echo")).await?)?;
/// assert_eq!(record.name(), Some("echo"));
/// let missing = client.get_endpoint(GetEndpoint::new("nope")).await.unwrap_err();
/// assert_eq!(missing.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
///
/// let inputs = Payload::new(JSON, "1\n2\n");
/// let mut chunks = client.predict_stream(&PredictStream::endpoint("echo", inputs))?;
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
    /// Removes the secrets of the client from errors; `None` if it has none.
    redactor: Option<Redactor>,
}

/// Passes the operations that return one result to a macro, which declares a method for each. The asynchronous and the
/// blocking client both use it.
macro_rules! for_each_operation {
    ($declare:ident) => {
        $declare! {
            /// Creates a deployment; returns a record with `name` and `flavor`.
            create_deployment(CreateDeployment),
            /// Replaces the model, the flavor or the config of a deployment.
            update_deployment(UpdateDeployment),
            /// Deletes a deployment; deleting a missing deployment succeeds.
            delete_deployment(DeleteDeployment),
            /// Returns one deployment: a record with `name`.
            get_deployment(GetDeployment),
            /// Returns all deployments: a list of records.
            list_deployments(ListDeployments),
            /// Creates an endpoint; returns a record with `name`.
            create_endpoint(CreateEndpoint),
            /// Updates the config of an endpoint.
            update_endpoint(UpdateEndpoint),
            /// Deletes an endpoint; deleting a missing endpoint succeeds.
            delete_endpoint(DeleteEndpoint),
            /// Returns one endpoint: a record with `name`.
            get_endpoint(GetEndpoint),
            /// Returns all endpoints: a list of records.
            list_endpoints(ListEndpoints),
            /// Returns the predictions of a deployment or an endpoint.
            predict(Predict),
            /// Returns explanations of the predictions for an input.
            explain(Explain),
            /// Runs a target-specific operation, which the plugin's manifest lists under `invoke`.
            invoke(Invoke),
        }
    };
}
pub(crate) use for_each_operation;

/// Declares a method for each operation that returns one result.
macro_rules! operations {
    ($($(#[$doc:meta])* $method:ident($arguments:ident)),* $(,)?) => {
        impl DeployClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// The error of the target; `NOT_IMPLEMENTED` if it does not support the operation; `DEADLINE_EXCEEDED`
                /// if the timeout of the client expires.
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
        Self { remote, manifest, timeout, redactor: None }
    }

    /// Returns the same client. Its errors do not contain the secrets of `redactor`.
    pub(crate) fn with_redactor(self, redactor: Option<Redactor>) -> Self {
        Self { redactor, ..self }
    }

    /// Returns the same client with another timeout for every call. With `None`, only the time limits of the target
    /// apply.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Returns the manifest of the plugin.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns true if the target supports an operation. Sends no request.
    pub fn supports(&self, operation: Operation) -> bool {
        self.remote.supports(operation)
    }

    /// Requests predictions that arrive in chunks.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the target does not support streams. The stream returns all other errors.
    pub fn predict_stream(&self, arguments: &PredictStream) -> Result<PredictionStream> {
        let redactor = self.redactor.clone();
        let chunks = self.remote.predict_stream(arguments, self.timeout).map_err(|error| redact(error, &redactor))?;
        let timer = self.timeout.map(Deadline::after).map(Timer::new);
        Ok(PredictionStream { chunks: Some(chunks), timer, redactor })
    }

    /// Closes the client and all its clones. Pending calls return `CANCELLED`, and later calls fail.
    pub fn close(&self) {
        self.remote.close();
    }

    async fn call<A: Arguments>(&self, arguments: A) -> Result<Payload> {
        let answer = within(self.timeout.map(Deadline::after), self.remote.call(arguments, self.timeout)).await;
        answer.map_err(|error| redact(error, &self.redactor))
    }
}

/// Removes the secrets of `redactor` from an error.
#[expect(clippy::ref_option, reason = "the callers have a reference to a field")]
pub(crate) fn redact(error: Error, redactor: &Option<Redactor>) -> Error {
    match redactor {
        Some(redactor) => error.redacted(redactor),
        None => error,
    }
}

/// A [`Stream`] of predictions, which returns each chunk when it arrives. Dropping the stream cancels the call.
///
/// The stream ends after the last chunk or the first error. It may be polled in any async runtime, or in none.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
/// # mlflow_deploy::blocking::wait(async {
/// use futures_util::{StreamExt, TryStreamExt};
/// use mlflow_deploy::args::PredictStream;
/// use mlflow_deploy::{Host, JSON, Payload};
///
/// let client = Host::builder().plugin(plugin).build().get_deploy_client(Some("echo")).await?;
/// let chunks = client.predict_stream(&PredictStream::endpoint("echo", Payload::new(JSON, "1\n2\n")))?;
/// let numbers = chunks.map(|chunk| chunk?.json::<i32>());
/// assert_eq!(numbers.try_collect::<Vec<_>>().await?, [1, 2]);
/// # Ok::<(), mlflow_deploy::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct PredictionStream {
    chunks: Option<RemoteStream>,
    timer: Option<Timer>,
    redactor: Option<Redactor>,
}

impl PredictionStream {
    /// Returns the next chunk of predictions; `None` after the last chunk or an error.
    pub async fn next(&mut self) -> Option<Result<Payload>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for PredictionStream {
    type Item = Result<Payload>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { chunks, timer, redactor } = &mut *self;
        let Some(stream) = chunks else { return Poll::Ready(None) };
        let item = match (Pin::new(stream).poll_next(context), timer) {
            (Poll::Ready(item), _) => item,
            (Poll::Pending, Some(timer)) => Some(Err(ready!(timer.poll(context)))),
            (Poll::Pending, None) => return Poll::Pending,
        };
        if !matches!(item, Some(Ok(_))) {
            *chunks = None;
        }
        let item = item.map(|item| item.map_err(|error| redact(error, redactor)));
        Poll::Ready(item)
    }
}
