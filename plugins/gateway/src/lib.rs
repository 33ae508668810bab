#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
mod config;
mod record;
mod routes;
#[cfg(test)]
mod tests;

use mlflow_deploy_plugin_api::export_plugin;

use crate::client::Gateway;

export_plugin! {
    client: Gateway,
    name: "gateway",
    schemes: ["http", "https"],
    operations: [get_endpoint, list_endpoints, predict, predict_stream, target_help],
    manifest: include_str!("../manifest.json"),
}
