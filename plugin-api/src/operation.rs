//! The list of operations.
//!
//! To add an operation, add a variant; the compiler reports every other place that needs a change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares the operations once, in the order of the table's slots.
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
            /// All operations, in the order of the table's slots.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns MLflow's name of the operation, such as `list_endpoints`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

operations! {
    /// Deploys a model under a name.
    CreateDeployment = "create_deployment",
    /// Replaces a deployment's model, flavor or config.
    UpdateDeployment = "update_deployment",
    /// Deletes a deployment.
    DeleteDeployment = "delete_deployment",
    /// Describes one deployment.
    GetDeployment = "get_deployment",
    /// Describes every deployment.
    ListDeployments = "list_deployments",
    /// Creates an endpoint.
    CreateEndpoint = "create_endpoint",
    /// Changes an endpoint's config.
    UpdateEndpoint = "update_endpoint",
    /// Deletes an endpoint.
    DeleteEndpoint = "delete_endpoint",
    /// Describes one endpoint.
    GetEndpoint = "get_endpoint",
    /// Describes every endpoint.
    ListEndpoints = "list_endpoints",
    /// Returns predictions of a deployment or endpoint.
    Predict = "predict",
    /// Streams predictions of a deployment or endpoint.
    PredictStream = "predict_stream",
    /// Returns explanations of predictions.
    Explain = "explain",
    /// Runs an operation that only this target has, by name.
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

/// The error of parsing a name that is not an [`Operation`] of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOperation(String);

impl fmt::Display for UnknownOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unknown operation `{}`", self.0)
    }
}

impl std::error::Error for UnknownOperation {}
