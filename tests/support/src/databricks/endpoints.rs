//! The serving endpoints of the fake Databricks workspace, and their life cycle: creation, update, failed update and
//! deletion.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::databricks::api_error::{ApiError, ApiResult};

/// The number of GET requests to which an endpoint replies that an update of its configuration is in progress.
const GETS_PER_UPDATE: u32 = 2;

/// All serving endpoints of the workspace, by name.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    all: BTreeMap<String, Endpoint>,
    created: u32,
}

/// A serving endpoint of the workspace.
#[derive(Debug)]
pub(super) struct Endpoint {
    record: Value,
    access: Vec<Value>,
    /// The number of GET requests that still find the running update in progress, or `None` if no update runs.
    gets_left: Option<u32>,
    failure: Option<String>,
}

impl Endpoints {
    pub(super) fn answer(&mut self, method: &str, path: &[&str], body: Value) -> ApiResult {
        match (method, path) {
            ("GET", []) if self.all.is_empty() => Ok(json!({})),
            ("GET", []) => Ok(json!({"endpoints": self.all.values().map(|each| &each.record).collect::<Vec<_>>()})),
            ("POST", []) => self.create(&body),
            ("GET", [name]) => {
                let endpoint = self.find_mut(name)?;
                endpoint.advance();
                Ok(endpoint.record.clone())
            }
            ("DELETE", [name]) => {
                self.find(name)?;
                self.all.remove(*name);
                Ok(json!({}))
            }
            ("PUT", [name, "config"]) => self.find_mut(name)?.update(&body),
            ("PATCH", [name, "tags"]) => Ok(self.find_mut(name)?.change_tags(&body)),
            ("PUT", [name, "rate-limits"]) => {
                self.find_mut(name)?.record["rate_limits"].clone_from(&body["rate_limits"]);
                Ok(json!({"rate_limits": body["rate_limits"]}))
            }
            ("PUT", [name, "ai-gateway"]) => {
                self.find_mut(name)?.record["ai_gateway"].clone_from(&body);
                Ok(body)
            }
            _ => Err(ApiError::new(404, "ENDPOINT_NOT_FOUND", format!("No API found for '{method} {path:?}'"))),
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<&Endpoint, ApiError> {
        self.all.get(name).ok_or_else(|| unknown(name))
    }

    pub(super) fn fail(&mut self, name: &str, reason: &str) {
        if let Some(endpoint) = self.all.get_mut(name) {
            endpoint.failure = Some(reason.to_owned());
        }
    }

    pub(super) fn logs(&self, name: &str, model: &str, kind: &str) -> ApiResult {
        let served = self.find(name)?.served();
        if !served.iter().any(|served| served["name"] == model) || !matches!(kind, "logs" | "build-logs") {
            let message = format!("Served model '{model}' of endpoint '{name}' does not exist.");
            return Err(ApiError::new(404, "RESOURCE_DOES_NOT_EXIST", message));
        }
        Ok(json!({"logs": format!("{kind} of {model}\n")}))
    }

    pub(super) fn permissions(&mut self, method: &str, id: &str, body: &Value) -> ApiResult {
        let found = self.all.values_mut().find(|endpoint| endpoint.record["id"] == id);
        let Some(endpoint) = found else { return Err(unknown(id)) };
        let entries = body["access_control_list"].as_array().cloned().unwrap_or_default();
        match method {
            "GET" => {}
            "PUT" => endpoint.access = entries,
            _ => endpoint.access.extend(entries),
        }
        let object_id = format!("/serving-endpoints/{id}");
        Ok(json!({
            "object_id": object_id, "object_type": "serving-endpoint", "access_control_list": endpoint.access,
        }))
    }

    fn find_mut(&mut self, name: &str) -> Result<&mut Endpoint, ApiError> {
        self.all.get_mut(name).ok_or_else(|| unknown(name))
    }

    fn create(&mut self, body: &Value) -> ApiResult {
        let Some(name) = body["name"].as_str().filter(|name| !name.is_empty()) else {
            return Err(ApiError::new(400, "INVALID_PARAMETER_VALUE", "Missing required field: name"));
        };
        if self.all.contains_key(name) {
            let message = format!("Endpoint with name '{name}' already exists.");
            return Err(ApiError::new(400, "RESOURCE_ALREADY_EXISTS", message));
        }
        self.created += 1;
        let mut record = json!({
            "name": name,
            "id": format!("{:032x}", self.created),
            "creator": "alice@company.com",
            "creation_timestamp": 1_729_527_763_000_u64,
            "last_updated_timestamp": 1_729_527_763_000_u64,
            "state": {},
            "tags": body.get("tags").cloned().unwrap_or_else(|| json!([])),
            "permission_level": "CAN_MANAGE",
            "route_optimized": body.get("route_optimized").cloned().unwrap_or(Value::Bool(false)),
        });
        for part in ["rate_limits", "ai_gateway", "description"] {
            if let Some(value) = body.get(part) {
                record[part] = value.clone();
            }
        }
        let mut endpoint = Endpoint { record, access: Vec::new(), gets_left: None, failure: None };
        let reply = endpoint.update(&body["config"])?;
        self.all.insert(name.to_owned(), endpoint);
        Ok(reply)
    }
}

impl Endpoint {
    pub(super) fn is_ready(&self) -> bool {
        self.record["state"]["ready"] == "READY"
    }

    /// Returns the served entities of the endpoint's current configuration. If it has none yet, returns those of the
    /// pending configuration.
    pub(super) fn served(&self) -> Vec<Value> {
        let lists = ["config", "pending_config"].map(|config| self.record[config]["served_entities"].as_array());
        lists.into_iter().flatten().next().cloned().unwrap_or_default()
    }

    /// Starts an update of the endpoint to the configuration `config`. Returns the record of the endpoint, or an error
    /// if another update runs.
    fn update(&mut self, config: &Value) -> ApiResult {
        if self.gets_left.is_some() {
            let message = format!("Endpoint {} is currently being updated: try again later", self.record["name"]);
            return Err(ApiError::new(409, "RESOURCE_CONFLICT", message));
        }
        let mut pending = config.clone();
        if !pending["served_entities"].is_array() {
            return Err(ApiError::new(400, "INVALID_PARAMETER_VALUE", "Missing required field: served_entities"));
        }
        set_state(&mut pending, "DEPLOYMENT_CREATING", "creating");
        let ready = if self.is_ready() { "READY" } else { "NOT_READY" };
        self.record["pending_config"] = pending;
        self.record["state"] = json!({"ready": ready, "config_update": "IN_PROGRESS"});
        self.gets_left = Some(GETS_PER_UPDATE);
        Ok(self.record.clone())
    }

    /// Advances the running update by one step. Each GET request of the endpoint calls this method once.
    fn advance(&mut self) {
        let Some(gets_left) = self.gets_left else { return };
        match (gets_left, self.failure.take()) {
            (_, Some(reason)) => {
                self.gets_left = None;
                set_state(&mut self.record["pending_config"], "DEPLOYMENT_FAILED", &reason);
                self.record["state"]["config_update"] = json!("UPDATE_FAILED");
            }
            (0, None) => {
                self.gets_left = None;
                let mut config = self.record["pending_config"].take();
                set_state(&mut config, "DEPLOYMENT_READY", "");
                self.record["config"] = config;
                self.record.as_object_mut().expect("a record is an object").remove("pending_config");
                self.record["state"] = json!({"ready": "READY", "config_update": "NOT_UPDATING"});
            }
            (gets_left, None) => self.gets_left = Some(gets_left - 1),
        }
    }

    fn change_tags(&mut self, body: &Value) -> Value {
        let mut tags = self.record["tags"].as_array().cloned().unwrap_or_default();
        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let (added, deleted) = (list("add_tags"), list("delete_tags"));
        tags.retain(|tag| !deleted.contains(&tag["key"]) && !added.iter().any(|new| new["key"] == tag["key"]));
        tags.extend(added);
        self.record["tags"] = json!(tags);
        json!({"tags": tags})
    }
}

/// Returns the metrics of an endpoint as text if `part` is `metrics`, and the endpoint's OpenAPI schema otherwise.
pub(super) fn text(name: &str, part: &str) -> String {
    match part {
        "metrics" => format!("# TYPE request_count_total counter\nrequest_count_total{{endpoint=\"{name}\"}} 0\n"),
        _ => json!({"openapi": "3.1.0", "info": {"title": name}}).to_string(),
    }
}

fn set_state(config: &mut Value, deployment: &str, message: &str) {
    for served in config["served_entities"].as_array_mut().into_iter().flatten() {
        served["state"] = json!({"deployment": deployment, "deployment_state_message": message});
    }
}

fn unknown(name: &str) -> ApiError {
    ApiError::new(404, "RESOURCE_DOES_NOT_EXIST", format!("Endpoint with name '{name}' does not exist."))
}
