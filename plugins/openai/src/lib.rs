#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod auth;
mod client;
mod config;
mod options;
mod record;
mod request_body;
mod route_error;
mod server;
#[cfg(test)]
mod tests;

use mlflow_deploy_plugin_api::export_plugin;

use crate::client::OpenAi;

export_plugin! {
    client: OpenAi,
    name: "openai",
    schemes: ["openai"],
    operations: [get_endpoint, list_endpoints, predict, predict_stream, target_help],
    manifest: include_str!("../manifest.json"),
}
