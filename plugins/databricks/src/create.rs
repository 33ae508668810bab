//! What `create_endpoint` sends: the whole request, or MLflow's older form put together from its parts.

use mlflow_deploy_plugin_api::{Error, Result, call};
use serde_json::{Map, Value, json};

/// The request for a new endpoint. A config that has a `config` in it is the whole request; any other is only that
/// part, with `tags`, `rate_limits` and `route_optimized` beside it.
///
/// Source: `DatabricksDeploymentClient.create_endpoint`
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where there is no name, or there are two.
pub(crate) fn request(name: &str, config: Map<String, Value>) -> Result<Map<String, Value>> {
    if config.contains_key("config") { whole(name, config) } else { from_parts(name, config) }
}

fn whole(name: &str, mut request: Map<String, Value>) -> Result<Map<String, Value>> {
    match request.get("name") {
        Some(own) if name.is_empty() || own == name => Ok(request),
        Some(own) => Err(Error::invalid_parameter(format!(
            "the name is given as `{name}`, and in the config as `{}`: give it once",
            own.as_str().map_or_else(|| own.to_string(), str::to_owned)
        ))),
        None if name.is_empty() => {
            Err(Error::invalid_parameter("the endpoint has no name: give one, or put `name` into the config"))
        }
        None => {
            request.insert("name".to_owned(), name.into());
            Ok(request)
        }
    }
}

fn from_parts(name: &str, mut config: Map<String, Value>) -> Result<Map<String, Value>> {
    if name.is_empty() {
        return Err(Error::invalid_parameter("the endpoint has no name: give one"));
    }
    call::warn(
        "a config that is only the endpoint's `config` is deprecated: give the whole request, with `name` and `config` \
         in it",
    );
    let route_optimized = config.remove("route_optimized").unwrap_or(Value::Bool(false));
    let beside: Vec<_> = ["tags", "rate_limits"].iter().filter_map(|key| config.remove_entry(*key)).collect();
    let mut request = Map::new();
    request.insert("name".to_owned(), name.into());
    request.insert("config".to_owned(), json!(config));
    request.insert("route_optimized".to_owned(), route_optimized);
    request.extend(beside);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, config: Value) -> Result<Value> {
        let Value::Object(config) = config else { panic!("{config}") };
        request(name, config).map(Value::Object)
    }

    #[test]
    fn the_whole_request_is_sent_as_it_is() {
        let whole = json!({"name": "a", "config": {"served_entities": []}, "route_optimized": true, "new": 1});
        assert_eq!(of("", whole.clone()).unwrap(), whole);
        assert_eq!(of("a", whole.clone()).unwrap(), whole);
        assert_eq!(of("a", json!({"config": {}})).unwrap(), json!({"config": {}, "name": "a"}));
    }

    #[test]
    fn one_name_is_needed() {
        let error = of("a", json!({"name": "b", "config": {}})).unwrap_err();
        assert_eq!(error.message(), "the name is given as `a`, and in the config as `b`: give it once");
        of("", json!({"config": {}})).unwrap_err();
        of("", json!({"served_entities": []})).unwrap_err();
    }

    #[test]
    fn the_older_form_is_put_together() {
        let config = json!({"served_entities": [], "tags": [{"key": "k"}], "rate_limits": [], "route_optimized": true});
        let expected = json!({
            "name": "a",
            "config": {"served_entities": []},
            "route_optimized": true,
            "tags": [{"key": "k"}],
            "rate_limits": [],
        });
        assert_eq!(of("a", config).unwrap(), expected);
        assert_eq!(of("a", json!({})).unwrap(), json!({"name": "a", "config": {}, "route_optimized": false}));
    }
}
