//! The entry of an application in the request to Serve: how a model and a config become Ray's own keys.

use mlflow_deploy_plugin_api::{Error, Result};
use serde_json::{Map, Value, json};

use crate::deployment_config::DeploymentConfig;
use crate::json_tree::{merge, object_at};
use crate::model::Model;

/// The object that Serve imports from the package: a function of `mlflow_deploy_ray.py`.
pub(crate) const IMPORT_PATH: &str = "mlflow_deploy_ray:app";

/// The name of the only deployment of an application.
const DEPLOYMENT: &str = "model";

/// The keys of an application that the plugin sets, and the config key to use for each, if there is one.
const OWN_KEYS: [(&str, Option<&str>); 5] = [
    ("name", None),
    ("import_path", None),
    ("args", None),
    ("deployments", Some("deployment")),
    ("route_prefix", Some("route_prefix")),
];

/// Returns the entry of a new application.
pub(crate) fn new_entry(name: &str, model: &Model, config: &DeploymentConfig) -> Result<Value> {
    let mut entry = json!({"name": name, "route_prefix": format!("/{name}"), "import_path": IMPORT_PATH});
    let fields = entry.as_object_mut().expect("it is an object");
    set_model(fields, model);
    fields.insert("deployments".to_owned(), json!([{"name": DEPLOYMENT}]));
    apply(fields, config)?;
    Ok(entry)
}

/// Returns the entry of an application with another model, another config, or both.
pub(crate) fn changed_entry(entry: &Value, model: Option<&Model>, config: &DeploymentConfig) -> Result<Value> {
    let mut entry = entry.clone();
    let fields =
        entry.as_object_mut().ok_or_else(|| Error::internal("the config of an application is not an object"))?;
    if let Some(model) = model {
        set_model(fields, model);
    }
    apply(fields, config)?;
    Ok(entry)
}

/// Returns true if this plugin made the application with this config.
pub(crate) fn is_own(config: &Value) -> bool {
    config["import_path"] == IMPORT_PATH
}

fn set_model(fields: &mut Map<String, Value>, model: &Model) {
    fields.insert("args".to_owned(), model.arguments());
    object_at(fields, "runtime_env").insert("working_dir".to_owned(), format!("gcs://{}", model.package().name).into());
}

fn apply(fields: &mut Map<String, Value>, config: &DeploymentConfig) -> Result<()> {
    if let Some((key, instead)) = OWN_KEYS.iter().find(|(key, _)| config.application.contains_key(*key)) {
        let instead = instead.map(|key| format!("; use the config key `{key}`")).unwrap_or_default();
        return Err(Error::invalid_parameter(format!("`application.{key}` is set by this plugin{instead}")));
    }
    if config.application.get("runtime_env").is_some_and(|env| env.get("working_dir").is_some()) {
        return Err(Error::invalid_parameter("`application.runtime_env.working_dir` is set by this plugin"));
    }
    if config.deployment.contains_key("name") {
        return Err(Error::invalid_parameter("`deployment.name` is set by this plugin"));
    }
    merge(fields, &config.application);
    if let Some(route) = &config.route_prefix {
        fields.insert("route_prefix".to_owned(), route.as_str().into());
    }
    let environment = object_at(fields, "runtime_env");
    if let Some(pip) = &config.pip {
        environment.insert("pip".to_owned(), json!(pip));
    }
    if let Some(env) = &config.env {
        let env: Map<_, _> = env.iter().map(|(name, value)| (name.clone(), value.expose().into())).collect();
        environment.insert("env_vars".to_owned(), Value::Object(env));
    }
    let deployments = fields.get_mut("deployments").and_then(Value::as_array_mut);
    let deployment = deployments.and_then(|list| list.first_mut()).and_then(Value::as_object_mut);
    let deployment = deployment.ok_or_else(|| Error::internal("the application has no deployment in its config"))?;
    set_deployment(deployment, config);
    Ok(())
}

fn set_deployment(deployment: &mut Map<String, Value>, config: &DeploymentConfig) {
    merge(deployment, &config.deployment);
    if let Some(replicas) = config.num_replicas {
        deployment.remove("autoscaling_config");
        deployment.insert("num_replicas".to_owned(), replicas.into());
    }
    if let Some(autoscaling) = &config.autoscaling {
        deployment.remove("num_replicas");
        deployment.insert("autoscaling_config".to_owned(), Value::Object(autoscaling.clone()));
    }
    if let Some(requests) = config.max_ongoing_requests {
        deployment.insert("max_ongoing_requests".to_owned(), requests.into());
    }
    let resources = [
        ("num_cpus", config.num_cpus.map(Value::from)),
        ("num_gpus", config.num_gpus.map(Value::from)),
        ("memory", config.memory.map(Value::from)),
    ];
    for (name, value) in resources {
        if let Some(value) = value {
            object_at(deployment, "ray_actor_options").insert(name.to_owned(), value);
        }
    }
}
