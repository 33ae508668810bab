//! Builds the request of `create_endpoint`. The config may have the current form or the form that MLflow deprecates.

use mlflow_deploy_plugin_api::call;
use serde_json::{Map, Value, json};

/// Returns the request for a new endpoint. A config with the key `config` is the whole request. Any other config
/// becomes the value of the request's key `config`. Its keys `tags`, `rate_limits` and `route_optimized` become keys of
/// the request.
///
/// `is_argument` is true if the caller passed the name as a separate argument, which MLflow deprecates.
///
/// Source: `DatabricksDeploymentClient.create_endpoint`
pub(crate) fn request(name: String, is_argument: bool, mut config: Map<String, Value>) -> Map<String, Value> {
    if config.contains_key("config") {
        if is_argument {
            call::warn(
                "the name of a new endpoint as an argument is deprecated: specify it only as `name` in the config",
            );
        }
        config.insert("name".to_owned(), name.into());
        return config;
    }
    call::warn(
        "a config with only the value of the request's `config` is deprecated: pass the whole request, with `name` and \
         `config`",
    );
    let route_optimized = config.remove("route_optimized").unwrap_or(Value::Bool(false));
    let additional: Vec<_> = ["tags", "rate_limits"].iter().filter_map(|key| config.remove_entry(*key)).collect();
    config.remove("name");
    let mut request = Map::new();
    request.insert("name".to_owned(), name.into());
    request.insert("config".to_owned(), json!(config));
    request.insert("route_optimized".to_owned(), route_optimized);
    request.extend(additional);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(name: &str, config: Value) -> Value {
        let Value::Object(config) = config else { panic!("{config}") };
        Value::Object(request(name.to_owned(), true, config))
    }

    #[test]
    fn a_whole_request_is_unchanged() {
        let whole = json!({"name": "a", "config": {"served_entities": []}, "route_optimized": true, "new": 1});
        assert_eq!(built("a", whole.clone()), whole);
        assert_eq!(built("a", json!({"config": {}})), json!({"config": {}, "name": "a"}));
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
        assert_eq!(built("a", config), expected);
        assert_eq!(built("a", json!({"name": "a"})), json!({"name": "a", "config": {}, "route_optimized": false}));
    }
}
