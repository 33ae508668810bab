#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod archive;
mod client;
mod config;
mod deploy;
mod deployment_config;
mod endpoint;
mod event_stream;
mod failure;
mod invoke;
mod model;
mod names;
mod place;
mod predict;
mod record;
mod resources;
mod run_local;
mod session;
mod storage;
#[cfg(test)]
mod tests;
mod wait;

use mlflow_deploy_plugin_api::export_plugin;

use crate::client::SageMaker;

export_plugin! {
    client: SageMaker,
    name: "sagemaker",
    schemes: ["sagemaker"],
    operations: [
        create_deployment,
        update_deployment,
        delete_deployment,
        get_deployment,
        list_deployments,
        update_endpoint,
        delete_endpoint,
        get_endpoint,
        list_endpoints,
        predict,
        predict_stream,
        invoke,
        run_local,
        target_help,
    ],
    manifest: include_str!("../manifest.json"),
}
