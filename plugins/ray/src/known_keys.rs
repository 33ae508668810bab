//! Rejects unknown keys of a config, and suggests the known key that is most similar.

use mlflow_deploy_plugin_api::{Error, Result, nearest};
use serde_json::{Map, Value};

/// Fails if the config has a key that is not in `known`.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, with the nearest known key.
pub(crate) fn check_known(config: &Map<String, Value>, known: &[&str]) -> Result<()> {
    let Some(unknown) = config.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let similar = nearest(unknown, known.iter().copied());
    let hint = similar.map(|similar| format!("; did you mean `{similar}`?")).unwrap_or_default();
    let listed =
        if known.is_empty() { "expected no keys".to_owned() } else { format!("known keys: `{}`", known.join("`, `")) };
    Err(Error::invalid_parameter(format!("unknown config key `{unknown}`{hint}; {listed}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_key_gets_the_nearest_name() {
        let check = |config: Value, known: &[&str]| {
            let Value::Object(config) = config else { panic!("{config}") };
            check_known(&config, known).map_err(|error| error.message().to_owned())
        };
        assert_eq!(check(json!({"num_replicas": 1}), &["num_replicas"]), Ok(()));
        assert_eq!(
            check(json!({"zzz": 1}), &["num_replicas", "wait"]).unwrap_err(),
            "unknown config key `zzz`; known keys: `num_replicas`, `wait`"
        );
        assert_eq!(
            check(json!({"num_replica": 1}), &["num_replicas", "wait"]).unwrap_err(),
            "unknown config key `num_replica`; did you mean `num_replicas`?; known keys: `num_replicas`, `wait`"
        );
        assert_eq!(check(json!({"a": 1}), &[]).unwrap_err(), "unknown config key `a`; expected no keys");
    }
}
