#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod api;
mod binary;
mod client;
mod config;
mod datatype;
mod missing;
mod model;
mod predict;
mod record;
mod repository;
mod server;
mod ship;
mod source;
#[cfg(test)]
mod tests;

use mlflow_deploy_plugin_api::export_plugin;

use crate::client::V2;

export_plugin! {
    client: V2,
    name: "v2",
    schemes: [
        "v2", "v2+http", "v2+https",
        "mlserver", "mlserver+http", "mlserver+https",
        "triton", "triton+http", "triton+https",
    ],
    operations: [
        create_deployment, update_deployment, delete_deployment, get_deployment, list_deployments,
        predict, invoke, target_help,
    ],
    manifest: include_str!("../manifest.json"),
}
