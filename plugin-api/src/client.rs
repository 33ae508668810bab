//! The trait that a plugin implements. It is a client with the operations of a target.

use crate::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, RunLocal, UpdateDeployment, UpdateEndpoint,
};
use crate::ffi::not_implemented::NotImplemented;
use crate::{Chunks, ClientOptions, Operation, Payload, Result, TargetUri};

/// A connection to one target, with one set of options.
///
/// Every operation is optional: implement those that [`export_plugin!`](crate::export_plugin) lists, as `async fn`s.
/// They run on the plugin's own runtime and are dropped when the caller cancels the call. The result is JSON unless its
/// payload has another media type: a record is an object with at least `name`, a list is an array of records, and an
/// operation without a result returns [`Payload::empty`].
///
/// See the [front page](crate) for an example.
///
/// Source of all but `connect` and `invoke`: `mlflow.deployments.BaseDeploymentClient`.
pub trait DeploymentClient: Sized + Send + Sync + 'static {
    /// The operations that often complete without waiting, such as a computation of some microseconds. Their calls start
    /// on the host's calling thread: an operation that completes there is answered without a change of threads. An
    /// operation that waits continues on the plugin's runtime.
    ///
    /// The host's thread waits meanwhile, and the [contract](crate::contract) allows 50 ms. Such an operation runs longer
    /// work with [`blocking`](crate::blocking).
    const INLINE: &'static [Operation] = &[];

    /// Creates a client from the target URI and the client's options. The implementation need not contact the server.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the URI or an option is invalid for the target.
    fn connect(target: TargetUri, options: ClientOptions) -> impl Future<Output = Result<Self>> + Send;

    /// Returns the help text for users of the target, in Markdown. The text describes the target's URIs, config keys
    /// and environment variables.
    fn target_help() -> String {
        const { assert!(size_of::<Self>() == usize::MAX, "`target_help` is listed but not implemented") };
        String::new()
    }

    /// Serves a model on this machine as the target would, until the call is cancelled. To answer its current requests
    /// before it stops, a server waits for [`call::cancelled`](crate::call::cancelled).
    ///
    /// *Output*: a chunk `{"event":"ready","url":…}` once the model answers requests, with an optional `example`: a
    /// command line that sends a request. The reply follows when the server has stopped.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the model does not exist.
    fn run_local(_request: RunLocal, _chunks: &mut Chunks) -> impl Future<Output = Result<()>> + Send {
        NotImplemented::NEW
    }

    /// Deploys a model, and returns when the deployment answers requests.
    ///
    /// *Output*: a record with `name` and `flavor`.
    ///
    /// # Errors
    /// `RESOURCE_ALREADY_EXISTS` if the name is taken.
    fn create_deployment(&self, _request: CreateDeployment) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Replaces a deployment's model, flavor or config.
    ///
    /// *Output*: a record with `name` and `flavor`.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the deployment does not exist.
    fn update_deployment(&self, _request: UpdateDeployment) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Deletes a deployment. Succeeds even if the deployment does not exist.
    ///
    /// *Output*: empty.
    ///
    /// # Errors
    /// The target's error.
    fn delete_deployment(&self, _request: DeleteDeployment) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Describes one deployment.
    ///
    /// *Output*: a record with `name`.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the deployment does not exist.
    fn get_deployment(&self, _request: GetDeployment) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Describes the deployments of one endpoint, or all deployments of the target.
    ///
    /// *Output*: a list of records with `name`.
    ///
    /// # Errors
    /// The target's error.
    fn list_deployments(&self, _request: ListDeployments) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Creates an endpoint, and returns when it can be used.
    ///
    /// *Output*: a record with `name`.
    ///
    /// # Errors
    /// `RESOURCE_ALREADY_EXISTS` if the name is taken.
    fn create_endpoint(&self, _request: CreateEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Changes an endpoint's config.
    ///
    /// *Output*: empty, or the changed record.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the endpoint does not exist.
    fn update_endpoint(&self, _request: UpdateEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Deletes an endpoint. Succeeds even if the endpoint does not exist.
    ///
    /// *Output*: empty.
    ///
    /// # Errors
    /// The target's error.
    fn delete_endpoint(&self, _request: DeleteEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Describes one endpoint.
    ///
    /// *Output*: a record with `name`.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the endpoint does not exist.
    fn get_endpoint(&self, _request: GetEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Describes every endpoint of the target.
    ///
    /// *Output*: a list of records with `name`.
    ///
    /// # Errors
    /// The target's error.
    fn list_endpoints(&self, _request: ListEndpoints) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Sends inputs to a deployment or an endpoint, and returns its predictions.
    ///
    /// *Input*: `inputs` in a media type that the manifest's `accepts` lists. *Output*: the target's reply, unchanged.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the deployment or endpoint does not exist.
    fn predict(&self, _request: Predict) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Sends inputs to a deployment or an endpoint, and streams its predictions.
    ///
    /// *Input*: as for `predict`. *Output*: the target's chunks, one payload each; the return value ends the stream.
    ///
    /// # Errors
    /// The errors of `predict`. An error may follow some chunks.
    fn predict_stream(&self, _request: PredictStream, _chunks: &mut Chunks) -> impl Future<Output = Result<()>> + Send {
        NotImplemented::NEW
    }

    /// Sends inputs to a deployment or an endpoint, and returns explanations of its predictions.
    ///
    /// *Input*: as for `predict`. *Output*: the target's reply, unchanged.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the deployment or endpoint does not exist.
    fn explain(&self, _request: Explain) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }

    /// Runs an operation that only this target has; the manifest's `invoke` lists these operations.
    ///
    /// *Input*: the operation's `config` and `inputs`. *Output*: the operation's result.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the target has no operation of this name.
    fn invoke(&self, _request: Invoke) -> impl Future<Output = Result<Payload>> + Send {
        NotImplemented::NEW
    }
}
