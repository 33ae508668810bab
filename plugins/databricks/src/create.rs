//! The request of `create_endpoint`, from a config in the current or in MLflow's deprecated form.

use mlflow_deploy_plugin_api::{Error, Result, call};
use serde_json::{Map, Value, json};

/// Returns the request for a new endpoint. A config with the key `config` is the whole request. Any other config is the
/// value of `config`, with `tags`, `rate_limits` and `route_optimized` as additional keys.
///
/// Source: `DatabricksDeploymentClient.create_endpoint`
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the name is missing, or if the config contains another name.
pub(crate) fn request(name: &str, config: Map<String, Value>) -> Result<Map<String, Value>> {
    if config.contains_key("config") { with_name(name, config) } else { from_deprecated(name, config) }
}

fn with_name(name: &str, mut request: Map<String, Value>) -> Result<Map<String, Value>> {
    match request.get("name") {
        Some(existing) if name.is_empty() || existing == name => Ok(request),
        Some(existing) => Err(Error::invalid_parameter(format!(
            "conflicting endpoint names `{name}` and, in the config, `{}`: specify one",
            existing.as_str().map_or_else(|| existing.to_string(), str::to_owned)
        ))),
        None if name.is_empty() => {
            Err(Error::invalid_parameter("the endpoint's name is missing: specify it, or add `name` to the config"))
        }
        None => {
            request.insert("name".to_owned(), name.into());
            Ok(request)
        }
    }
}

fn from_deprecated(name: &str, mut config: Map<String, Value>) -> Result<Map<String, Value>> {
    if name.is_empty() {
        return Err(Error::invalid_parameter("the endpoint's name is missing: specify it"));
    }
    call::warn(
        "a config with only the value of the request's `config` is deprecated: pass the whole request, with `name` and \
         `config`",
    );
    let route_optimized = config.remove("route_optimized").unwrap_or(Value::Bool(false));
    let additional: Vec<_> = ["tags", "rate_limits"].iter().filter_map(|key| config.remove_entry(*key)).collect();
    let mut request = Map::new();
    request.insert("name".to_owned(), name.into());
    request.insert("config".to_owned(), json!(config));
    request.insert("route_optimized".to_owned(), route_optimized);
    request.extend(additional);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(name: &str, config: Value) -> Result<Value> {
        let Value::Object(config) = config else { panic!("{config}") };
        request(name, config).map(Value::Object)
    }

    #[test]
    fn a_whole_request_is_unchanged() {
        let whole = json!({"name": "a", "config": {"served_entities": []}, "route_optimized": true, "new": 1});
        assert_eq!(built("", whole.clone()).unwrap(), whole);
        assert_eq!(built("a", whole.clone()).unwrap(), whole);
        assert_eq!(built("a", json!({"config": {}})).unwrap(), json!({"config": {}, "name": "a"}));
    }

    #[test]
    fn a_missing_or_conflicting_name_is_an_error() {
        let error = built("a", json!({"name": "b", "config": {}})).unwrap_err();
        assert_eq!(error.message(), "conflicting endpoint names `a` and, in the config, `b`: specify one");
        built("", json!({"config": {}})).unwrap_err();
        built("", json!({"served_entities": []})).unwrap_err();
    }

    #[test]
    fn the_deprecated_form_is_converted() {
        let config = json!({"served_entities": [], "tags": [{"key": "k"}], "rate_limits": [], "route_optimized": true});
        let expected = json!({
            "name": "a",
            "config": {"served_entities": []},
            "route_optimized": true,
            "tags": [{"key": "k"}],
            "rate_limits": [],
        });
        assert_eq!(built("a", config).unwrap(), expected);
        assert_eq!(built("a", json!({})).unwrap(), json!({"name": "a", "config": {}, "route_optimized": false}));
    }
}
