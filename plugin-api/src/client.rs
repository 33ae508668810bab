//! What a plugin's author writes: a client with the operations its target supports.

use crate::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, RunLocal, UpdateDeployment, UpdateEndpoint,
};
use crate::{Chunks, ClientOptions, Payload, Result, TargetUri};

/// The body of an operation that a client leaves out. It is only compiled where the operation is asked for all the
/// same, and then stops the build: what a plugin lists, it has to implement.
macro_rules! left_out {
    ($operation:literal) => {{
        const { assert!(size_of::<Self>() == usize::MAX, concat!("`", $operation, "` is listed but not implemented")) };
        std::future::pending()
    }};
}

/// A connection to one target, with one set of options.
///
/// Every operation is optional: implement those that `export_plugin!` lists, as plain `async fn`s. They run on the
/// plugin's own runtime and are dropped when the caller gives up. Answers are JSON unless the payload says otherwise:
/// a record is an object with at least `name`, a list is an array of records, and an operation that has nothing to say
/// answers [`Payload::empty`].
///
/// Source of all but `connect` and `invoke`: `mlflow.deployments.BaseDeploymentClient`.
pub trait DeploymentClient: Sized + Send + Sync + 'static {
    /// Makes a client from the target URI and its options. No server need be asked yet.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the URI or an option is not one of the target's.
    fn connect(target: TargetUri, options: ClientOptions) -> impl Future<Output = Result<Self>> + Send;

    /// Tells a user how to use the target, as Markdown: its URIs, config keys and environment variables.
    fn target_help() -> String {
        const { assert!(size_of::<Self>() == usize::MAX, "`target_help` is listed but not implemented") };
        String::new()
    }

    /// Serves a model on this machine as the target would, until the call is cancelled. A server that answers requests to
    /// their end before it stops waits for [`call::cancelled`](crate::call::cancelled).
    ///
    /// *Output*: a chunk `{"event":"ready","url":…}` once the model answers, with a command line that asks it in `example`
    /// where there is one; the reply when it has stopped.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` where there is no such model.
    fn run_local(_request: RunLocal, _chunks: &mut Chunks) -> impl Future<Output = Result<()>> + Send {
        left_out!("run_local")
    }

    /// Deploys a model and returns when it can predict.
    ///
    /// *Output*: a record with `name` and `flavor`.
    ///
    /// # Errors
    /// `RESOURCE_ALREADY_EXISTS` where the name is taken.
    fn create_deployment(&self, _request: CreateDeployment) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("create_deployment")
    }

    /// Replaces a deployment's model, flavor or config.
    ///
    /// *Output*: a record with `name` and `flavor`.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` where there is no such deployment.
    fn update_deployment(&self, _request: UpdateDeployment) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("update_deployment")
    }

    /// Takes a deployment down; one that is gone already is no error.
    ///
    /// *Output*: nothing.
    ///
    /// # Errors
    /// What the target answers.
    fn delete_deployment(&self, _request: DeleteDeployment) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("delete_deployment")
    }

    /// Describes one deployment.
    ///
    /// *Output*: a record with `name`.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` where there is no such deployment.
    fn get_deployment(&self, _request: GetDeployment) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("get_deployment")
    }

    /// Describes every deployment, of one endpoint or of all.
    ///
    /// *Output*: a list of records with `name`.
    ///
    /// # Errors
    /// What the target answers.
    fn list_deployments(&self, _request: ListDeployments) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("list_deployments")
    }

    /// Makes an endpoint and returns when it can be used.
    ///
    /// *Output*: a record with `name`.
    ///
    /// # Errors
    /// `RESOURCE_ALREADY_EXISTS` where the name is taken.
    fn create_endpoint(&self, _request: CreateEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("create_endpoint")
    }

    /// Changes an endpoint's config.
    ///
    /// *Output*: nothing, or the changed record.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` where there is no such endpoint.
    fn update_endpoint(&self, _request: UpdateEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("update_endpoint")
    }

    /// Removes an endpoint; one that is gone already is no error.
    ///
    /// *Output*: nothing.
    ///
    /// # Errors
    /// What the target answers.
    fn delete_endpoint(&self, _request: DeleteEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("delete_endpoint")
    }

    /// Describes one endpoint.
    ///
    /// *Output*: a record with `name`.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` where there is no such endpoint.
    fn get_endpoint(&self, _request: GetEndpoint) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("get_endpoint")
    }

    /// Describes every endpoint.
    ///
    /// *Output*: a list of records with `name`.
    ///
    /// # Errors
    /// What the target answers.
    fn list_endpoints(&self, _request: ListEndpoints) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("list_endpoints")
    }

    /// Asks a deployment or an endpoint for predictions.
    ///
    /// *Input*: `inputs` in any format the manifest's `accepts` names. *Output*: the target's answer as it came.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` where there is no such deployment or endpoint.
    fn predict(&self, _request: Predict) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("predict")
    }

    /// Asks for predictions that arrive in chunks.
    ///
    /// *Input*: as for `predict`. *Output*: the target's chunks, each a payload of its own; the return value ends them.
    ///
    /// # Errors
    /// As for `predict`; also after some chunks.
    fn predict_stream(&self, _request: PredictStream, _chunks: &mut Chunks) -> impl Future<Output = Result<()>> + Send {
        left_out!("predict_stream")
    }

    /// Asks for explanations of predictions.
    ///
    /// *Input*: as for `predict`. *Output*: the target's answer as it came.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` where there is no such deployment or endpoint.
    fn explain(&self, _request: Explain) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("explain")
    }

    /// Runs an operation of the target's own, one that the manifest's `invoke` names.
    ///
    /// *Input*: the operation's `config` and `inputs`. *Output*: whatever the operation gives.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where there is no such operation.
    fn invoke(&self, _request: Invoke) -> impl Future<Output = Result<Payload>> + Send {
        left_out!("invoke")
    }
}
