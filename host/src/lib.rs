#![doc = include_str!("../README.md")]

mod client;
mod discover;
mod error;
mod host;
mod library;
mod race;
mod refusal;
mod registry;
mod search_path;
mod trust;

pub use client::{DeployClient, PredictionStream};
pub use discover::{Candidate, CandidateState, Directory, DirectoryState, Discovery};
pub use error::{Error, NoPlugin};
pub use host::{Host, HostBuilder, PluginEvent};
pub use mlflow_deploy_plugin_api::{
    ClientOptions, Config, ErrorCode, JSON, Operation, Payload, TargetUri, args, call, manifest,
};
pub use refusal::Refusal;
pub use registry::Choice;
pub use search_path::Origin;

/// What a target answers where it answers with an error.
pub type TargetError = mlflow_deploy_plugin_api::Error;

use std::sync::LazyLock;

/// The host behind [`get_deploy_client`].
static DEFAULT: LazyLock<Host> = LazyLock::new(Host::new);

/// Makes a client of a target, such as `databricks` or `http://localhost:5000`, with the plugins of the environment,
/// the user and the system; without a target, of the one that `MLFLOW_DEPLOYMENTS_TARGET` names.
///
/// Source: `mlflow.deployments.get_deploy_client`.
///
/// # Errors
/// As [`Host::get_deploy_client`].
pub async fn get_deploy_client(target: Option<&str>) -> Result<DeployClient, Error> {
    DEFAULT.get_deploy_client(target).await
}
