//! Typed records and methods for Databricks serving endpoints.
//!
//! ```
//! # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-databricks");
//! # let workspace = mlflow_deploy_test_support::databricks::Databricks::start();
//! # let options = serde_json::json!({"host": workspace.url(), "token": mlflow_deploy_test_support::databricks::TOKEN});
//! # mlflow_deploy::blocking::wait(async {
//! # let options = mlflow_deploy::ClientOptions::new(&options)?;
//! use mlflow_deploy::args::CreateEndpoint;
//! use mlflow_deploy::databricks::{DatabricksClient, Endpoint};
//! use mlflow_deploy::{Config, Host};
//! use serde_json::json;
//!
//! # let host = Host::builder().plugin(plugin).build();
//! let client = host.get_deploy_client_with(Some("databricks"), &options).await?;
//! let config = Config::new(&json!({
//!     "name": "chat",
//!     "config": {"served_entities": [{"name": "m", "entity_name": "main.a.m", "entity_version": "1"}]},
//! }))?;
//! let endpoint = client.create_endpoint(CreateEndpoint::from_config(config)).await?.json::<Endpoint>()?;
//! assert_eq!(endpoint.name, "chat");
//!
//! let tags = Config::new(&json!({"add_tags": [{"key": "team", "value": "search"}]}))?;
//! client.update_endpoint_tags("chat", tags).await?;
//! # Ok::<(), mlflow_deploy::Error>(())
//! # }).unwrap();
//! ```

use std::future::Future;

use mlflow_deploy_plugin_api::args::Invoke;
use mlflow_deploy_plugin_api::{Config, Payload, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::DeployClient;

/// A serving endpoint of a Databricks workspace. A member that the workspace does not send is `None`. The field `other`
/// keeps the members that this type does not know.
///
/// Source: `mlflow.deployments.databricks.DatabricksEndpoint`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// The name of the endpoint, unique in the workspace.
    pub name: String,
    /// The id of the endpoint, which the permissions API uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The user name of the endpoint's creator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// The time at which the endpoint was created, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<i64>,
    /// The time at which the endpoint was last updated, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_timestamp: Option<i64>,
    /// The readiness of the endpoint, and the progress of its update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The models that the endpoint serves, and the traffic that each model gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// The tags of the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// The task of the endpoint, such as `llm/v1/chat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The kind of the endpoint, such as `EXTERNAL_MODEL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_type: Option<String>,
    /// The permission of the caller for this endpoint, such as `CAN_MANAGE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_level: Option<String>,
    /// True if requests to the endpoint take an optimized route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_optimized: Option<bool>,
    /// All members that this type does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The readiness of an [`Endpoint`], and the progress of its update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// The readiness of the endpoint: `READY` or `NOT_READY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// The progress of the update: `NOT_UPDATING`, `IN_PROGRESS`, `UPDATE_FAILED` or `UPDATE_CANCELED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_update: Option<String>,
    /// All members that this type does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A tag of an [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tag {
    /// The key of the tag.
    pub key: String,
    /// The value of the tag; `None` if the tag has only a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Declares the trait [`DatabricksClient`] and implements its methods.
macro_rules! changes {
    ($($(#[$doc:meta])* $method:ident),* $(,)?) => {
        /// The operations that MLflow's `DatabricksDeploymentClient` has in addition to those of every client.
        ///
        /// Each method sends the config to the workspace and returns the workspace's answer.
        pub trait DatabricksClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// The error that the target returns; `NOT_IMPLEMENTED` if the target is not Databricks.
                fn $method(&self, endpoint: &str, config: Config) -> impl Future<Output = Result<Payload>> + Send;
            )*
        }

        impl DatabricksClient for DeployClient {
            $(
                async fn $method(&self, endpoint: &str, config: Config) -> Result<Payload> {
                    let operation = Invoke::new(stringify!($method)).with_endpoint(endpoint).with_config(config);
                    self.invoke(operation).await
                }
            )*
        }
    };
}

changes! {
    /// Replaces the models that the endpoint serves, and their traffic. If the config has the key `wait`, returns when
    /// the update is complete.
    update_endpoint_config,
    /// Adds the tags in `add_tags` of the config to the endpoint, and deletes those in `delete_tags`.
    update_endpoint_tags,
    /// Replaces the rate limits of the endpoint with `rate_limits` of the config.
    update_endpoint_rate_limits,
    /// Replaces the endpoint's settings of the AI gateway, such as guardrails and usage tracking.
    update_endpoint_ai_gateway,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_keeps_every_member() {
        let record = json!({
            "name": "chat",
            "creation_timestamp": 1_700_000_000_000_i64,
            "state": {"ready": "READY", "config_update": "NOT_UPDATING", "suspend": "NOT_SUSPENDED"},
            "config": {"served_entities": []},
            "tags": [{"key": "team", "value": "search"}, {"key": "alone"}],
            "route_optimized": false,
            "budget_policy_id": "b-1",
        });
        let endpoint: Endpoint = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(endpoint.state.as_ref().unwrap().ready.as_deref(), Some("READY"));
        assert_eq!(endpoint.other["budget_policy_id"], "b-1");
        assert_eq!(serde_json::to_value(&endpoint).unwrap(), record);
    }
}
