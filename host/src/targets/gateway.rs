//! Typed records for the endpoints of an MLflow AI Gateway.
//!
//! ```no_run
//! # mlflow_deploy::blocking::wait(async {
//! use mlflow_deploy::args::GetEndpoint;
//! use mlflow_deploy::gateway::Endpoint;
//! use mlflow_deploy::get_deploy_client;
//!
//! let client = get_deploy_client(Some("http://localhost:5000")).await?;
//! let endpoint = client.get_endpoint(GetEndpoint::new("chat")).await?.json::<Endpoint>()?;
//! println!("{} answers with {}", endpoint.name, endpoint.model.name);
//! # Ok::<(), mlflow_deploy::Error>(())
//! # }).unwrap();
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An endpoint of an MLflow AI Gateway. The field `other` keeps the members that this type does not know.
///
/// Source: `mlflow.deployments.server.config.Endpoint`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// The name of the endpoint.
    pub name: String,
    /// The task of the endpoint: `llm/v1/chat`, `llm/v1/completions` or `llm/v1/embeddings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_type: Option<String>,
    /// The model that answers the requests.
    #[serde(default)]
    pub model: Model,
    /// The path for prediction requests, relative to the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The rate limit of the endpoint; `None` if its calls are not limited.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// All members that this type does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The model of an [`Endpoint`]. Its fields are empty if the gateway does not send the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Model {
    /// The name of the model, as its provider uses it.
    pub name: String,
    /// The provider of the model, such as `openai`.
    pub provider: String,
    /// All members that this type does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The rate limit of an [`Endpoint`].
///
/// Source: `mlflow.gateway.config.Limit`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limit {
    /// The number of calls that are allowed in each period.
    pub calls: u64,
    /// The key by which calls are counted separately; `None` if all calls are counted together.
    pub key: Option<String>,
    /// The length of the period, such as `minute`.
    pub renewal_period: String,
    /// All members that this type does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Tests the example from the schema of MLflow's class, with one more member, which MLflow does not know.
    #[test]
    fn a_record_keeps_every_member() {
        let record = json!({
            "name": "openai-completions",
            "endpoint_type": "llm/v1/completions",
            "model": {"name": "gpt-4o-mini", "provider": "openai"},
            "endpoint_url": "/endpoints/completions/invocations",
            "limit": {"calls": 1, "key": null, "renewal_period": "minute"},
            "created_by": "alice",
        });
        let endpoint: Endpoint = serde_json::from_value(record.clone()).unwrap();
        assert_eq!((endpoint.model.provider.as_str(), endpoint.limit.as_ref().unwrap().calls), ("openai", 1));
        assert_eq!(serde_json::to_value(&endpoint).unwrap(), record);
    }

    #[test]
    fn missing_members_are_not_an_error() {
        let endpoint: Endpoint = serde_json::from_value(json!({"name": "chat"})).unwrap();
        assert_eq!((endpoint.limit, endpoint.model), (None, Model::default()));
    }
}
