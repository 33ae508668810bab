//! The number of retries that a target would make: for verbs that send requests again themselves.

use mlflow_deploy::manifest::Manifest;
use serde_json::{Map, Value};

/// The option with which targets take the number of retries.
pub(crate) const OPTION: &str = "max_retries";

/// The variable with which MLflow's targets take the number of retries.
const VARIABLE: &str = "MLFLOW_HTTP_REQUEST_MAX_RETRIES";

/// The number of retries without an option, a variable or a default in the manifest. It is the default of MLflow.
const DEFAULT: u32 = 7;

/// Sets the option `max_retries` to 0, and returns its value. Changes nothing if the target does not have the option, or
/// if its value is invalid, so that the target reports it.
pub(crate) fn take(options: &mut Map<String, Value>, manifest: &Manifest) -> u32 {
    take_with(options, manifest, std::env::var(VARIABLE).ok())
}

fn take_with(options: &mut Map<String, Value>, manifest: &Manifest, variable: Option<String>) -> u32 {
    let declared = manifest.options.get("properties").and_then(|properties| properties.get(OPTION));
    let Some(declared) = declared.filter(|declared| declared.is_object()) else { return DEFAULT };
    let reads_variable = manifest.environment.iter().any(|each| each.name == VARIABLE);
    let from_variable = variable.filter(|text| reads_variable && !text.is_empty()).map(|text| text.parse().ok());
    let given = match options.get(OPTION).filter(|value| !value.is_null()) {
        Some(value) => Some(value.as_u64()),
        None => from_variable,
    };
    let default = declared["default"].as_u64().unwrap_or(DEFAULT.into());
    let is_allowed = |retries: &u64| declared["maximum"].as_u64().is_none_or(|maximum| *retries <= maximum);
    let Some(retries) = given.unwrap_or(Some(default)).filter(is_allowed) else { return DEFAULT };
    options.insert(OPTION.to_owned(), 0.into());
    u32::try_from(retries).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(options: Value, manifest: Value, variable: Option<&str>) -> (u32, Value) {
        let mut options = options.as_object().unwrap().clone();
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let retries = take_with(&mut options, &manifest, variable.map(str::to_owned));
        (retries, options.into())
    }

    #[test]
    fn the_number_of_retries_is_that_of_the_target() {
        let manifest = |option: Value, environment: Value| {
            json!({"manifest": 1, "target": "t", "panic": "unwind", "abi": 1, "name": "n", "version": "1.0.0", "schemes": ["n"], "description": "d", "operations": [],
                   "options": {"properties": {"max_retries": option}}, "environment": environment})
        };
        let option = json!({"type": "integer", "minimum": 0, "maximum": 10});
        let with_default = json!({"type": "integer", "default": 5});
        let variable = json!([{"name": VARIABLE}]);
        let none = json!([]);
        for (options, manifest, value, expected) in [
            (
                json!({"max_retries": 2, "a": 1}),
                manifest(option.clone(), none.clone()),
                None,
                (2, json!({"max_retries": 0, "a": 1})),
            ),
            (json!({}), manifest(option.clone(), none.clone()), Some("3"), (7, json!({"max_retries": 0}))),
            (json!({}), manifest(option.clone(), variable.clone()), Some("3"), (3, json!({"max_retries": 0}))),
            (
                json!({"max_retries": 1}),
                manifest(option.clone(), variable.clone()),
                Some("3"),
                (1, json!({"max_retries": 0})),
            ),
            (json!({}), manifest(with_default, variable.clone()), Some(""), (5, json!({"max_retries": 0}))),
            // The target reports an invalid value.
            (json!({"max_retries": 11}), manifest(option.clone(), none.clone()), None, (7, json!({"max_retries": 11}))),
            (
                json!({"max_retries": "x"}),
                manifest(option.clone(), none.clone()),
                None,
                (7, json!({"max_retries": "x"})),
            ),
            (json!({}), manifest(option, variable), Some("x"), (7, json!({}))),
            (json!({"a": 1}), manifest(Value::Null, none), None, (7, json!({"a": 1}))),
        ] {
            assert_eq!(taken(options, manifest, value), expected);
        }
    }
}
