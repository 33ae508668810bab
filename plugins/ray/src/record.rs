//! The JSON record of a deployment, as the operations return it.

use mlflow_deploy_plugin_api::Redactor;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::application::is_own;
use crate::cluster::Application;
use crate::secrets::secrets;

/// The JSON record of a deployment.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    name: &'a str,
    status: &'a str,
    /// `declarative`, or `imperative` for an application that a program deployed.
    source: &'a str,
    /// True if this plugin deployed the application.
    managed: bool,
    message: String,
    route_prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flavor: Option<&'static str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    model_uri: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    model_version: Value,
    replicas_running: usize,
    replicas_wanted: u64,
    replicas: Vec<Value>,
    #[serde(skip_serializing_if = "Value::is_null")]
    config: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    last_deployed_time_s: Value,
}

impl<'a> Record<'a> {
    /// Creates the record of an application. `url` is the URL at which it answers, if that is known.
    pub(crate) fn new(application: Application<'a>, url: Option<String>) -> Self {
        let config = application.config();
        let own = config.filter(|config| is_own(config));
        let argument = |name: &str| own.map_or(Value::Null, |config| config["args"][name].clone());
        let replicas: Vec<_> = application.deployments().flat_map(replicas).collect();
        let redactor = Redactor::new(config.into_iter().flat_map(secrets));
        let messages = application.deployments().filter_map(|each| each["message"].as_str());
        let messages: Vec<_> = application.get("message").as_str().into_iter().chain(messages).collect();
        let messages: Vec<_> = messages.into_iter().filter(|message| !message.is_empty()).collect();
        Self {
            name: application.name,
            status: application.status(),
            source: application.source(),
            managed: own.is_some(),
            message: redactor.hide(&messages.join("\n")),
            route_prefix: application.route(),
            url,
            flavor: own.map(|_| "python_function"),
            model_uri: argument("source"),
            model_version: argument("version"),
            replicas_running: replicas.iter().filter(|replica| replica["state"] == "RUNNING").count(),
            replicas_wanted: application.deployments().filter_map(|each| each["target_num_replicas"].as_u64()).sum(),
            replicas,
            config: config.map_or(Value::Null, |config| shown(config, &redactor)),
            last_deployed_time_s: application.get("last_deployed_time_s").clone(),
        }
    }
}

fn replicas(deployment: &Value) -> Vec<Value> {
    let all = deployment["replicas"].as_array().into_iter().flatten();
    let record = |replica: &Value| {
        json!({
            "deployment": deployment["name"],
            "replica_id": replica["replica_id"],
            "state": replica["state"],
            "node_id": replica["node_id"],
            "node_ip": replica["node_ip"],
            "pid": replica["pid"],
        })
    };
    all.map(record).collect()
}

/// Returns the config of an application without the values of environment variables, which may be credentials, and without
/// the secrets of `redactor`.
fn shown(config: &Value, redactor: &Redactor) -> Value {
    match config {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                ("env_vars", Value::Object(variables)) => {
                    let hidden: Map<_, _> = variables.keys().map(|key| (key.clone(), "<redacted>".into())).collect();
                    (name.clone(), Value::Object(hidden))
                }
                _ => (name.clone(), shown(value, redactor)),
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| shown(item, redactor)).collect()),
        Value::String(text) => redactor.hide(text).into(),
        other => other.clone(),
    }
}
