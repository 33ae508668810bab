#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod auth;
mod client;
mod config;
mod create;
mod invoke;
mod options;
mod profile;
mod record;
mod routes;
#[cfg(test)]
mod tests;
mod wait;
mod workspace;
mod workspace_url;

use mlflow_deploy_plugin_api::export_plugin;

use crate::client::Databricks;

export_plugin! {
    client: Databricks,
    name: "databricks",
    schemes: ["databricks"],
    operations: [
        create_endpoint,
        update_endpoint,
        delete_endpoint,
        get_endpoint,
        list_endpoints,
        predict,
        predict_stream,
        invoke,
        target_help,
    ],
    manifest: include_str!("../manifest.json"),
}
