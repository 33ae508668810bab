//! One struct of arguments per operation: what travels as the request's `head`, and the inputs as its `body`.
//!
//! Unknown keys are ignored and missing ones are empty, so arguments can be added without breaking anyone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Chunks, Config, DeploymentClient, Operation, Payload, Result};

/// The arguments of one operation: which operation it is, its inputs, and how a client answers it.
pub trait Arguments: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The operation that takes these arguments.
    const OPERATION: Operation;

    /// The inputs, which travel as the body; `None` for an operation that has none.
    fn inputs(&mut self) -> Option<&mut Payload> {
        None
    }

    /// Asks the client. Only a streaming operation writes chunks.
    ///
    /// # Errors
    /// Whatever the client answers.
    fn answer<C: DeploymentClient>(
        self,
        client: &C,
        chunks: &mut Chunks,
    ) -> impl Future<Output = Result<Payload>> + Send;
}

/// Declares an operation's arguments and their way to the client's method.
macro_rules! arguments {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? } $($inputs:ident)? => $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default)]
        #[expect(clippy::exhaustive_structs, reason = "built with `..Default::default()`, so that fields can be added")]
        pub struct $name {
            $($(#[$attribute])* pub $field: $type,)*
            $(
                /// The inputs. Only their media type travels in the head; the bytes are the body.
                #[serde(rename = "content_type", with = "content_type")]
                pub $inputs: Payload,
            )?
        }

        impl Arguments for $name {
            const OPERATION: Operation = Operation::$name;

            $(fn inputs(&mut self) -> Option<&mut Payload> {
                Some(&mut self.$inputs)
            })?

            async fn answer<C: DeploymentClient>(self, client: &C, _: &mut Chunks) -> Result<Payload> {
                client.$method(self).await
            }
        }
    };
}

arguments! {
    /// Arguments of `create_deployment`.
    CreateDeployment {
        /// The name to deploy under, unique within the target or the endpoint.
        name: String,
        /// Where the model is, such as `runs:/<run id>/model` or a path.
        model_uri: String,
        /// The flavor to deploy; the target chooses where none is given.
        flavor: Option<String>,
        /// Settings of the target's own.
        config: Config,
        /// The endpoint to deploy under.
        endpoint: Option<String>,
    } => create_deployment
}

arguments! {
    /// Arguments of `update_deployment`.
    UpdateDeployment {
        /// The deployment to change.
        name: String,
        /// The new model; unchanged where none is given.
        model_uri: Option<String>,
        /// The new flavor, given with a model URI.
        flavor: Option<String>,
        /// Settings of the target's own.
        config: Config,
        /// The endpoint it is deployed under.
        endpoint: Option<String>,
    } => update_deployment
}

arguments! {
    /// Arguments of `delete_deployment`.
    DeleteDeployment {
        /// The deployment to delete.
        name: String,
        /// Settings of the target's own.
        config: Config,
        /// The endpoint it is deployed under.
        endpoint: Option<String>,
    } => delete_deployment
}

arguments! {
    /// Arguments of `get_deployment`.
    GetDeployment {
        /// The deployment to describe.
        name: String,
        /// The endpoint it is deployed under.
        endpoint: Option<String>,
    } => get_deployment
}

arguments! {
    /// Arguments of `list_deployments`.
    ListDeployments {
        /// Only the deployments under this endpoint.
        endpoint: Option<String>,
    } => list_deployments
}

arguments! {
    /// Arguments of `create_endpoint`.
    CreateEndpoint {
        /// The name of the new endpoint.
        name: String,
        /// Settings of the target's own.
        config: Config,
    } => create_endpoint
}

arguments! {
    /// Arguments of `update_endpoint`.
    UpdateEndpoint {
        /// The endpoint to change.
        endpoint: String,
        /// Settings of the target's own.
        config: Config,
    } => update_endpoint
}

arguments! {
    /// Arguments of `delete_endpoint`.
    DeleteEndpoint {
        /// The endpoint to remove.
        endpoint: String,
    } => delete_endpoint
}

arguments! {
    /// Arguments of `get_endpoint`.
    GetEndpoint {
        /// The endpoint to describe.
        endpoint: String,
    } => get_endpoint
}

arguments! {
    /// Arguments of `list_endpoints`.
    ListEndpoints {} => list_endpoints
}

arguments! {
    /// Arguments of `predict`. A target may take the deployment's name, the endpoint, or both.
    Predict {
        /// The deployment to ask.
        deployment_name: Option<String>,
        /// The endpoint to ask.
        endpoint: Option<String>,
        /// Settings of the target's own.
        config: Config,
    } inputs => predict
}

arguments! {
    /// Arguments of `explain`. A target may take the deployment's name, the endpoint, or both.
    Explain {
        /// The deployment to ask.
        deployment_name: Option<String>,
        /// The endpoint to ask.
        endpoint: Option<String>,
        /// Settings of the target's own.
        config: Config,
    } inputs => explain
}

arguments! {
    /// Arguments of `invoke`: an operation of the target's own, by the name its manifest gives.
    Invoke {
        /// The operation's name.
        operation: String,
        /// The deployment it concerns.
        name: Option<String>,
        /// The endpoint it concerns.
        endpoint: Option<String>,
        /// Settings of the operation.
        config: Config,
    } inputs => invoke
}

/// Arguments of `predict_stream`. A target may take the deployment's name, the endpoint, or both.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "built with `..Default::default()`, so that fields can be added")]
pub struct PredictStream {
    /// The deployment to ask.
    pub deployment_name: Option<String>,
    /// The endpoint to ask.
    pub endpoint: Option<String>,
    /// Settings of the target's own.
    pub config: Config,
    /// The inputs. Only their media type travels in the head; the bytes are the body.
    #[serde(rename = "content_type", with = "content_type")]
    pub inputs: Payload,
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

/// Arguments of `run_local`, which belongs to the plugin and not to a client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "built with `..Default::default()`, so that fields can be added")]
pub struct RunLocal {
    /// The target URI whose deployment is imitated on this machine.
    pub target_uri: String,
    /// The name to deploy under.
    pub name: String,
    /// Where the model is.
    pub model_uri: String,
    /// The flavor to deploy; the target chooses where none is given.
    pub flavor: Option<String>,
    /// Settings of the target's own.
    pub config: Config,
}

/// Writes a payload's media type in its place, and reads it back as an empty payload of that type.
mod content_type {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Payload;

    pub(super) fn serialize<S: Serializer>(inputs: &Payload, serializer: S) -> Result<S::Ok, S::Error> {
        inputs.content_type.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        Ok(Payload::new(String::deserialize(deserializer)?, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_ignored_and_missing_ones_empty() {
        let predict: Predict = serde_json::from_str(r#"{"endpoint":"chat","future":[1]}"#).unwrap();
        assert_eq!(predict.endpoint.as_deref(), Some("chat"));
        assert!(predict.config.is_empty());
        assert_eq!(predict.inputs, Payload::empty());
    }

    #[test]
    fn the_head_names_the_format_and_leaves_the_bytes_out() {
        let predict = Predict { inputs: Payload::new("text/csv", "a\n1\n"), ..Predict::default() };
        let head = serde_json::to_value(&predict).unwrap();
        assert_eq!(head["content_type"], "text/csv");
        assert!(!head.to_string().contains("a\\n1"));
    }
}
