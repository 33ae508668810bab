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

/// A serving endpoint. Members that the workspace does not send are `None`; unknown members are kept in `other`.
///
/// Source: `mlflow.deployments.databricks.DatabricksEndpoint`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// The name, unique in the workspace.
    pub name: String,
    /// The id of the endpoint, which the permissions API uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The user name of the creator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// The time of creation, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<i64>,
    /// The time of the last update, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_timestamp: Option<i64>,
    /// The readiness, and the progress of an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The served entities and their traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// The tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// The task, such as `llm/v1/chat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The kind of the endpoint, such as `EXTERNAL_MODEL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_type: Option<String>,
    /// The permission of the caller, such as `CAN_MANAGE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_level: Option<String>,
    /// True if the endpoint has an optimized route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_optimized: Option<bool>,
    /// All other members.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The state of an [`Endpoint`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// `READY` or `NOT_READY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// `NOT_UPDATING`, `IN_PROGRESS`, `UPDATE_FAILED` or `UPDATE_CANCELED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_update: Option<String>,
    /// All other members.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A tag of an [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tag {
    /// The key.
    pub key: String,
    /// The value. A tag may consist of a key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Declares the methods of [`DatabricksClient`].
macro_rules! changes {
    ($($(#[$doc:meta])* $method:ident),* $(,)?) => {
        /// The operations of `DatabricksDeploymentClient` beyond those of every client.
        ///
        /// Each sends the config to the workspace and returns its answer.
        pub trait DatabricksClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// The error of the target; `NOT_IMPLEMENTED` if the target is not Databricks.
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
    /// Replaces the served entities and their traffic. If the config has `wait`, returns when the update is complete.
    update_endpoint_config,
    /// Adds tags with `add_tags`, and deletes them with `delete_tags`.
    update_endpoint_tags,
    /// Replaces the `rate_limits`.
    update_endpoint_rate_limits,
    /// Replaces the settings of the AI gateway, such as guardrails and usage tracking.
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
