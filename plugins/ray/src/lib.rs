#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod application;
mod arguments;
mod change;
mod client;
mod cluster;
mod config;
mod dashboard;
mod deployment_config;
mod failure;
mod json_tree;
mod model;
mod package;
mod proxy;
mod record;
mod secrets;
#[cfg(test)]
mod tests;
mod wait;

use mlflow_deploy_plugin_api::export_plugin;

use crate::client::Ray;

export_plugin! {
    client: Ray,
    name: "ray",
    schemes: ["ray", "ray-serve"],
    operations: [
        create_deployment,
        update_deployment,
        delete_deployment,
        get_deployment,
        list_deployments,
        predict,
        predict_stream,
        run_local,
        target_help,
    ],
    manifest: include_str!("../manifest.json"),
}
