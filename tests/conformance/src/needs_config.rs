//! The message for a plugin that cannot be opened without a config, such as a plugin that needs a server.

use mlflow_deploy_plugin_api::manifest::Manifest;
use serde_json::Value;

/// Returns true if a config may help against an error of `open` with this code. Returns false if the plugin itself
/// failed.
pub(crate) fn is_possible(code: &str) -> bool {
    !code.starts_with("PLUGIN_") && code != "INTERNAL_ERROR" && code != "NOT_IMPLEMENTED"
}

/// Returns the message for an error of `open` without a target URI in the config. It names the plugin's options, and the
/// documentation of the config.
pub(crate) fn message(manifest: &Manifest, target: &str, error: &str) -> String {
    let options = match options(manifest).join("`, `") {
        none if none.is_empty() => "none in the manifest".to_owned(),
        options => format!("`{options}`"),
    };
    format!(
        "needs a config: options {options}, see \"Configuration\" in tests/conformance/README.md; without `target_uris` \
         and options, `{target}` cannot be opened: {error}"
    )
}

/// Returns the names of the required options, or of all options if the manifest requires none.
fn options(manifest: &Manifest) -> Vec<&str> {
    let required: Vec<_> = manifest.options.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    let properties = manifest.options.get("properties").and_then(Value::as_object);
    match required.is_empty() {
        true => properties.into_iter().flat_map(|properties| properties.keys()).map(String::as_str).collect(),
        false => required.into_iter().filter_map(Value::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn required_options_are_named_and_otherwise_all() {
        let mut manifest = Manifest::parse(
            br#"{"manifest": 1, "abi": 1, "name": "a", "version": "1", "target": "t", "schemes": ["a"],
                "operations": ["predict"], "panic": "none", "options": {"properties": {"url": {}, "key": {}}}}"#,
        )
        .unwrap();
        assert_eq!(options(&manifest), ["url", "key"]);
        manifest.options.insert("required".to_owned(), json!(["key"]));
        assert_eq!(options(&manifest), ["key"]);
    }

    #[test]
    fn a_fault_of_the_plugin_needs_no_config() {
        assert!(is_possible("INVALID_PARAMETER_VALUE") && is_possible("UNAUTHENTICATED"));
        assert!(!is_possible("PLUGIN_PANICKED") && !is_possible("INTERNAL_ERROR") && !is_possible("NOT_IMPLEMENTED"));
    }
}
