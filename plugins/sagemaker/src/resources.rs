//! The resources that a change makes. After a failure, all of them are deleted, the newest first.

use mlflow_deploy_http::Policy;
use mlflow_deploy_plugin_api::{Error, Result, call};
use serde_json::{Value, json};

use crate::failure::is_missing;
use crate::session::Session;
use crate::storage::{self, S3Object};

/// The resources that a change has made so far.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) object: Option<S3Object>,
    pub(crate) model: Option<String>,
    pub(crate) config: Option<String>,
    /// A new endpoint. An update has none.
    pub(crate) endpoint: Option<String>,
}

impl Resources {
    /// Deletes the resources. Returns those that remain, with the reasons.
    pub(crate) async fn delete(&self, session: &Session) -> Vec<String> {
        let mut left = Vec::new();
        let mut note = |what: &str, name: &str, deleted: Result<()>| {
            if let Err(error) = deleted
                && !is_missing(&error)
            {
                left.push(format!("the {what} `{name}` ({})", error.message()));
            }
        };
        if let Some(name) = &self.endpoint {
            note("endpoint", name, delete_endpoint(session, name).await);
        }
        if let Some(name) = &self.config {
            note("endpoint config", name, delete_config(session, name).await);
        }
        if let Some(name) = &self.model {
            note("model", name, delete_model(session, name).await);
        }
        if let Some(object) = &self.object {
            note("object", &object.uri(), storage::delete(session, object).await);
        }
        left
    }

    /// Deletes the resources of a failed change, and returns its error with what remains.
    pub(crate) async fn undo(&self, session: &Session, error: Error) -> Error {
        // The time of the change may be over.
        let session = Session { policy: Policy { deadline: None, ..session.policy.clone() }, ..session.clone() };
        let left = self.delete(&session).await;
        if left.is_empty() {
            return error;
        }
        let message = format!("{}; these resources could not be deleted: {}", error.message(), left.join("; "));
        let explained = Error::new(error.code().clone(), message).with_cause(&error);
        match error.http() {
            Some(http) => explained.with_http(http.clone()),
            None => explained,
        }
    }
}

/// Deletes an endpoint.
pub(crate) async fn delete_endpoint(session: &Session, name: &str) -> Result<()> {
    session.change("DeleteEndpoint", &json!({"EndpointName": name})).await.map(drop)
}

/// Deletes the config of an endpoint.
pub(crate) async fn delete_config(session: &Session, name: &str) -> Result<()> {
    session.change("DeleteEndpointConfig", &json!({"EndpointConfigName": name})).await.map(drop)
}

/// Deletes a model.
pub(crate) async fn delete_model(session: &Session, name: &str) -> Result<()> {
    session.change("DeleteModel", &json!({"ModelName": name})).await.map(drop)
}

/// Deletes the replaced models of an endpoint with their objects, and its replaced config. The change is complete, so that what
/// cannot be deleted is a warning.
pub(crate) async fn delete_replaced(session: &Session, config: Option<&str>, models: &[String]) {
    let mut left = Vec::new();
    for name in models {
        let object = object_of(session, name).await;
        let model = Resources { object, model: Some(name.clone()), ..Resources::default() };
        left.extend(model.delete(session).await);
    }
    let config = Resources { config: config.map(str::to_owned), ..Resources::default() };
    left.extend(config.delete(session).await);
    for each in left {
        call::warn(format!("a replaced resource remains: {each}"));
    }
}

/// Returns the archive of a model.
async fn object_of(session: &Session, model: &str) -> Option<S3Object> {
    let described = session.read("DescribeModel", &json!({"ModelName": model})).await.ok()?;
    S3Object::parse(described["PrimaryContainer"]["ModelDataUrl"].as_str()?).ok()
}

/// Returns the names of the models in the config of an endpoint.
pub(crate) fn models_of(config: &Value) -> Vec<String> {
    let variants = config["ProductionVariants"].as_array().into_iter().flatten();
    variants.filter_map(|variant| variant["ModelName"].as_str().map(str::to_owned)).collect()
}
