//! MLflow's functions, on the one host that a process has for them: it searches the directories of the environment, the
//! user and the system.

use std::sync::LazyLock;

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::{ClientOptions, Payload, TargetUri};

use crate::{DeployClient, Error, Host, LocalDeployment};

static HOST: LazyLock<Host> = LazyLock::new(Host::new);

/// Makes a client of a target, such as `databricks` or `http://localhost:5000`; without one, of the target that is set.
///
/// Source: `mlflow.deployments.get_deploy_client`.
///
/// # Errors
/// As [`Host::get_deploy_client`].
pub async fn get_deploy_client(target: Option<&str>) -> Result<DeployClient, Error> {
    HOST.get_deploy_client(target).await
}

/// Makes a client with options of its own, such as a host, a token or headers; they win over the environment.
///
/// # Errors
/// As [`Host::get_deploy_client_with`].
pub async fn get_deploy_client_with(target: Option<&str>, options: &ClientOptions) -> Result<DeployClient, Error> {
    HOST.get_deploy_client_with(target, options).await
}

/// Sets the target that is meant where none is given, for all of the process.
///
/// Source: `mlflow.deployments.set_deployments_target`.
///
/// # Errors
/// As [`Host::set_deployments_target`].
pub fn set_deployments_target(target: &str) -> Result<(), Error> {
    HOST.set_deployments_target(target)
}

/// The target that is meant where none is given: the one that was set, else `MLFLOW_DEPLOYMENTS_TARGET`.
///
/// Source: `mlflow.deployments.get_deployments_target`.
///
/// # Errors
/// As [`Host::get_deployments_target`].
pub fn get_deployments_target() -> Result<TargetUri, Error> {
    HOST.get_deployments_target()
}

/// Serves a model on this machine as its target would: of the arguments, `target_uri` says which.
///
/// Source: `mlflow.deployments.run_local`.
///
/// # Errors
/// As [`Host::run_local`].
pub async fn run_local(arguments: RunLocal) -> Result<LocalDeployment, Error> {
    HOST.run_local(arguments).await
}

/// What the target's plugin tells a user about it, as Markdown.
///
/// Source: `target_help` of MLflow's plugins.
///
/// # Errors
/// As [`Host::target_help`].
pub async fn target_help(target: Option<&str>) -> Result<Payload, Error> {
    HOST.target_help(target).await
}
