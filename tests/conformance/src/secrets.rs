//! The secrets with which cases check the output of a plugin. They come from the config. If the config has none, they
//! are generated.

use mlflow_deploy_plugin_api::manifest::Manifest;
use serde_json::{Map, Value, json};

use crate::config::Config;

/// The secrets that a plugin receives and must not reveal.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    /// The names and values of the environment variables to set for the plugin.
    pub(crate) variables: Vec<(String, String)>,
    /// The options with which a client is opened: those in the config, and generated secrets.
    pub(crate) options: Map<String, Value>,
    /// The secret values. None of them may appear in the output of the plugin.
    pub(crate) values: Vec<String>,
}

impl Secrets {
    /// Returns the secrets in the config. If it has none, generates a value for each environment variable and option
    /// that the manifest marks as secret.
    pub(crate) fn of(manifest: &Manifest, config: &Config) -> Self {
        /// The minimum length of a secret, in bytes. A shorter text could appear in the output by chance.
        const MIN_LEN: usize = 4;
        let schema = Value::Object(manifest.options.clone());
        let variables =
            || manifest.environment.iter().filter(|variable| variable.secret).map(|variable| &variable.name);
        let mut values: Vec<_> = variables().filter_map(|name| config.environment.get(name).cloned()).collect();
        collect(&schema, &Value::Object(config.options.clone()), &mut values);
        values.retain(|value| value.len() >= MIN_LEN);
        if !values.is_empty() {
            return Self { values, options: config.options.clone(), ..Self::default() };
        }
        let mut secrets = Self::default();
        let variables: Vec<_> = variables().map(|name| (name.clone(), next(&mut secrets.values))).collect();
        let mut options = Value::Object(config.options.clone());
        if let Some(generated) = generate(&schema, &mut secrets.values) {
            merge(&mut options, generated);
        }
        Self { variables, options: options.as_object().cloned().unwrap_or_default(), ..secrets }
    }
}

/// Generates a new secret and adds it to `values`. Returns the secret.
fn next(values: &mut Vec<String>) -> String {
    let secret = format!("conformance-secret-{:04}", values.len());
    values.push(secret.clone());
    secret
}

fn is_secret(schema: &Value) -> bool {
    schema["writeOnly"] == true
}

/// Adds all strings in `value` that `schema` marks as secret to `found`.
fn collect(schema: &Value, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_secret(schema) => found.push(text.clone()),
        Value::Array(items) => {
            let inner = if is_secret(schema) { schema } else { &schema["items"] };
            items.iter().for_each(|item| collect(inner, item, found));
        }
        Value::Object(members) => {
            for (name, member) in members {
                let declared = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                collect(if is_secret(schema) { schema } else { declared }, member, found);
            }
        }
        _ => {}
    }
}

/// Generates a value with a new secret at each place that `schema` marks as secret. Returns `None` if there is no such
/// place.
fn generate(schema: &Value, values: &mut Vec<String>) -> Option<Value> {
    let has_type = |name: &str| {
        schema["type"] == name || schema["type"].as_array().is_some_and(|types| types.contains(&json!(name)))
    };
    if is_secret(schema) {
        return match () {
            () if schema["type"].is_null() || has_type("string") => Some(next(values).into()),
            () if has_type("array") => Some(json!([next(values)])),
            () if has_type("object") => Some(json!({ "conformance": next(values) })),
            () => None,
        };
    }
    let properties = schema["properties"].as_object()?;
    let member = |(name, schema): (&String, &Value)| Some((name.clone(), generate(schema, values)?));
    let members: Map<_, _> = properties.iter().filter_map(member).collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

/// Adds the members of the JSON object `added` to the JSON object `into`. Members that are objects in both are merged
/// in the same way.
fn merge(into: &mut Value, added: Value) {
    match (into, added) {
        (Value::Object(into), Value::Object(added)) => {
            for (name, member) in added {
                merge(into.entry(name).or_insert(Value::Null), member);
            }
        }
        (into, added) => *into = added,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(manifest: Value, config: &str) -> Secrets {
        let mut json = json!({
            "manifest": 1, "abi": 1, "name": "a", "version": "1", "target": "t", "schemes": ["a"], "operations": [],
            "panic": "none",
        });
        json.as_object_mut().unwrap().extend(manifest.as_object().unwrap().clone());
        Secrets::of(&Manifest::parse(json.to_string().as_bytes()).unwrap(), &config.parse().unwrap())
    }

    #[test]
    fn secrets_are_generated_for_secret_options_and_variables() {
        let options = json!({"properties": {
            "token": {"type": "string", "writeOnly": true},
            "auth": {"properties": {"password": {"writeOnly": true}, "user": {"type": "string"}}},
            "headers": {"type": "object", "writeOnly": true},
            "keys": {"type": ["array", "null"], "writeOnly": true},
            "pin": {"type": "integer", "writeOnly": true},
            "region": {"type": "string"},
        }});
        let config = "[options]\nauth = {user = 'the-user'}";
        let found = secrets(json!({"options": options, "environment": [{"name": "A_KEY", "secret": true}]}), config);
        let secret = |number: usize| format!("conformance-secret-{number:04}");
        assert_eq!(found.variables, [("A_KEY".to_owned(), secret(0))]);
        assert_eq!(found.values.len(), 5);
        let passed = Value::Object(found.options).to_string();
        assert!((1..5).all(|number| passed.contains(&secret(number))), "{passed}");
        assert!(!passed.contains("region") && !passed.contains("pin") && passed.contains("the-user"), "{passed}");
        assert!(secrets(json!({"options": {"properties": {"region": {}}}}), "").values.is_empty());
    }

    #[test]
    fn secrets_of_the_config_are_used_instead_also_if_they_are_nested() {
        let options = json!({"properties": {
            "auth": {"properties": {"password": {"type": "string", "writeOnly": true}}},
            "headers": {"additionalProperties": {"type": "string", "writeOnly": true}},
            "keys": {"type": "array", "writeOnly": true},
        }});
        let config = "[options]\nauth = {password = 'hunter22', user = 'the-user'}\nheaders = {a = 'Bearer x'}\nkeys = ['k-12', 'abc']";
        let found = secrets(json!({ "options": options }), config);
        assert_eq!(found.values, ["hunter22", "Bearer x", "k-12"]);
        assert_eq!((found.options.len(), found.variables.len()), (3, 0));
    }
}
