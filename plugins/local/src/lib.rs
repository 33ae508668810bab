#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
mod config;
mod deployment;
mod endpoint;
mod engine;
mod explain;
mod model;
mod serve;
mod store;

use mlflow_deploy_plugin_api::export_plugin;

use crate::client::Local;

export_plugin! {
    client: Local,
    name: "local",
    schemes: ["local"],
    operations: [
        create_deployment, update_deployment, delete_deployment, get_deployment, list_deployments,
        create_endpoint, update_endpoint, delete_endpoint, get_endpoint, list_endpoints,
        predict, explain, invoke, run_local, target_help,
    ],
    manifest: include_str!("../manifest.json"),
}
