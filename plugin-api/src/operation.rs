//! The enum of all operations of a client.
//!
//! A new operation needs a new variant. The compiler then reports every other place that needs a change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares the operations and their names once, in the order of the functions in a plugin's table.
macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// An operation of a client.
        ///
        /// ```
        /// use mlflow_deploy_plugin_api::Operation;
        ///
        /// let operation: Operation = "list_endpoints".parse()?;
        /// assert_eq!(operation, Operation::ListEndpoints);
        /// assert_eq!(operation.name(), "list_endpoints");
        /// # Ok::<(), mlflow_deploy_plugin_api::UnknownOperation>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Operation { $($(#[$doc])* $variant),* }

        impl Operation {
            /// All operations, in the order of the functions in a plugin's table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name that MLflow gives the operation, such as `list_endpoints`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

operations! {
    /// Deploys a model and gives the deployment a name.
    CreateDeployment = "create_deployment",
    /// Replaces a deployment's model, flavor or config.
    UpdateDeployment = "update_deployment",
    /// Deletes a deployment.
    DeleteDeployment = "delete_deployment",
    /// Returns the record of one deployment.
    GetDeployment = "get_deployment",
    /// Returns the records of all deployments.
    ListDeployments = "list_deployments",
    /// Creates an endpoint.
    CreateEndpoint = "create_endpoint",
    /// Changes the config of an endpoint.
    UpdateEndpoint = "update_endpoint",
    /// Deletes an endpoint.
    DeleteEndpoint = "delete_endpoint",
    /// Returns the record of one endpoint.
    GetEndpoint = "get_endpoint",
    /// Returns the records of all endpoints.
    ListEndpoints = "list_endpoints",
    /// Returns predictions of a deployment or endpoint.
    Predict = "predict",
    /// Streams predictions of a deployment or endpoint.
    PredictStream = "predict_stream",
    /// Returns explanations of a model's predictions.
    Explain = "explain",
    /// Runs, by name, an operation that only the client's target has.
    Invoke = "invoke",
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|operation| operation.name() == name)
            .ok_or_else(|| UnknownOperation(name.to_owned()))
    }
}

/// The error of parsing a text that is not the name of an [`Operation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOperation(String);

impl fmt::Display for UnknownOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unknown operation `{}`", self.0)
    }
}

impl std::error::Error for UnknownOperation {}
