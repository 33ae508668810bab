//! Links the arguments of each operation to the client's method that takes them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::structs::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, UpdateDeployment, UpdateEndpoint,
};
use crate::{Chunks, DeploymentClient, Operation, Payload, Result};

/// The arguments of one operation of a client. Code that handles all operations in the same way is generic over this
/// trait.
///
/// ```
/// use mlflow_deploy_plugin_api::Operation;
/// use mlflow_deploy_plugin_api::args::{Arguments, Predict};
///
/// assert_eq!(Predict::OPERATION, Operation::Predict);
/// assert!(Predict::default().inputs().is_some());
/// ```
pub trait Arguments: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The operation that takes these arguments.
    const OPERATION: Operation;

    /// Returns the inputs, which are sent as the body of the request; `None` if the operation takes no inputs.
    fn inputs(&mut self) -> Option<&mut Payload> {
        None
    }

    /// Calls the client's method for this operation. A streaming operation sends its results through `chunks`.
    ///
    /// # Errors
    /// The error that the client returns.
    fn answer<C: DeploymentClient>(
        self,
        client: &C,
        chunks: &mut Chunks,
    ) -> impl Future<Output = Result<Payload>> + Send;
}

/// Implements [`Arguments`] for operations that do not stream. `with inputs` marks an operation that takes inputs.
macro_rules! arguments {
    ($($name:ident => $method:ident $(with $inputs:ident)?),* $(,)?) => {$(
        impl Arguments for $name {
            const OPERATION: Operation = Operation::$name;

            $(fn inputs(&mut self) -> Option<&mut Payload> {
                Some(&mut self.$inputs)
            })?

            async fn answer<C: DeploymentClient>(self, client: &C, _: &mut Chunks) -> Result<Payload> {
                client.$method(self).await
            }
        }
    )*};
}

arguments! {
    CreateDeployment => create_deployment,
    UpdateDeployment => update_deployment,
    DeleteDeployment => delete_deployment,
    GetDeployment => get_deployment,
    ListDeployments => list_deployments,
    CreateEndpoint => create_endpoint,
    UpdateEndpoint => update_endpoint,
    DeleteEndpoint => delete_endpoint,
    GetEndpoint => get_endpoint,
    ListEndpoints => list_endpoints,
    Predict => predict with inputs,
    Explain => explain with inputs,
    Invoke => invoke with inputs,
}

impl Arguments for PredictStream {
    const OPERATION: Operation = Operation::PredictStream;

    fn inputs(&mut self) -> Option<&mut Payload> {
        Some(&mut self.inputs)
    }

    async fn answer<C: DeploymentClient>(self, client: &C, chunks: &mut Chunks) -> Result<Payload> {
        client.predict_stream(self, chunks).await?;
        Ok(Payload::empty())
    }
}
