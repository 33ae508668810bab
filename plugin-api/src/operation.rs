//! The one list of operations.
//!
//! Adding an operation starts with a variant here; the compiler then asks for everything else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares the operations once, in the order of the table's slots.
macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// What a client can be asked to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Operation { $($(#[$doc])* $variant),* }

        impl Operation {
            /// Every operation, in the order of the table's slots.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// MLflow's name of the operation, such as `list_endpoints`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

operations! {
    /// Deploy a model under a name.
    CreateDeployment = "create_deployment",
    /// Replace a deployment's model, flavor or config.
    UpdateDeployment = "update_deployment",
    /// Take a deployment down.
    DeleteDeployment = "delete_deployment",
    /// Describe one deployment.
    GetDeployment = "get_deployment",
    /// Describe every deployment.
    ListDeployments = "list_deployments",
    /// Make an endpoint.
    CreateEndpoint = "create_endpoint",
    /// Change an endpoint's config.
    UpdateEndpoint = "update_endpoint",
    /// Remove an endpoint.
    DeleteEndpoint = "delete_endpoint",
    /// Describe one endpoint.
    GetEndpoint = "get_endpoint",
    /// Describe every endpoint.
    ListEndpoints = "list_endpoints",
    /// Ask a deployment or endpoint for predictions.
    Predict = "predict",
    /// Ask for predictions that arrive in chunks.
    PredictStream = "predict_stream",
    /// Ask for explanations of predictions.
    Explain = "explain",
    /// Run an operation of the target's own, by name.
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

/// A name that is no operation of this version of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOperation(String);

impl fmt::Display for UnknownOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is not an operation", self.0)
    }
}

impl std::error::Error for UnknownOperation {}
