//! Finds the values that a plugin's manifest declares to be secrets: options with `writeOnly`, and variables with `secret`.

use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{ClientOptions, Secret};
use serde_json::{Map, Value};

use crate::discovery::search_path::environment;
use crate::named_targets::texts;
use crate::settings::Schema;

/// Returns the secrets among the options of a client and in the environment. A connection string or a URL has parts that are
/// not secret, such as a host, so it is left to the plugin.
pub(crate) fn declared_secrets(manifest: &Manifest, options: &ClientOptions) -> Vec<Secret> {
    let schema = Schema::new(Some(&manifest.options));
    let options: Map<String, Value> = options.parse().unwrap_or_default();
    let values = options.iter().filter(|(key, _)| schema.property(key).is_secret());
    let of_options = values.flat_map(|(_, value)| texts(value)).map(Secret::new);
    let variables = manifest.environment.iter().filter(|variable| variable.secret);
    let of_variables = variables.filter_map(|variable| environment(&variable.name)?.into_string().ok());
    let of_variables = of_variables.filter(|value| !value.contains(';') && !value.contains("://"));
    of_options.chain(of_variables.map(Secret::new)).collect()
}
