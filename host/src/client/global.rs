//! The functions of the Python module `mlflow.deployments`. They share one host, which searches the directories of the
//! environment, the user and the system for plugins, and takes the names of targets in the user's configuration.

use std::sync::LazyLock;

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::{ClientOptions, Payload, TargetUri};

use crate::{DeployClient, Error, Host, LocalDeployment};

static HOST: LazyLock<Host> = LazyLock::new(|| Host::builder().user_targets().build());

/// Creates a client of a target, such as `databricks` or `http://localhost:5000`, or of the current target if `target`
/// is `None`. The target may be a name in the user's configuration, see
/// [`HostBuilder::user_config`](crate::HostBuilder::user_config).
///
/// ```no_run
/// # async fn run() -> Result<(), mlflow_deploy::Error> {
/// let client = mlflow_deploy::get_deploy_client(Some("databricks")).await?;
/// # Ok(())
/// # }
/// ```
///
/// Source: `mlflow.deployments.get_deploy_client`.
///
/// # Errors
/// The errors of [`Host::get_deploy_client`].
pub async fn get_deploy_client(target: Option<&str>) -> Result<DeployClient, Error> {
    HOST.get_deploy_client(target).await
}

/// Creates a client with the given options, such as a host, a token or headers. They take precedence over the
/// environment. See [`Host::get_deploy_client_with`].
///
/// # Errors
/// The errors of [`Host::get_deploy_client_with`].
pub async fn get_deploy_client_with(target: Option<&str>, options: &ClientOptions) -> Result<DeployClient, Error> {
    HOST.get_deploy_client_with(target, options).await
}

/// Sets the current target of the process.
///
/// Source: `mlflow.deployments.set_deployments_target`.
///
/// # Errors
/// The errors of [`Host::set_deployments_target`].
pub fn set_deployments_target(target: &str) -> Result<(), Error> {
    HOST.set_deployments_target(target)
}

/// Returns the current target of the process: the one that [`set_deployments_target`] has set, or else the one in the
/// environment variable `MLFLOW_DEPLOYMENTS_TARGET`.
///
/// Source: `mlflow.deployments.get_deployments_target`.
///
/// # Errors
/// The errors of [`Host::get_deployments_target`].
pub fn get_deployments_target() -> Result<TargetUri, Error> {
    HOST.get_deployments_target()
}

/// Serves a model on this machine, in the same way as the target `target_uri` of the arguments. See
/// [`LocalDeployment`].
///
/// Source: `mlflow.deployments.run_local`.
///
/// # Errors
/// The errors of [`Host::run_local`].
pub async fn run_local(arguments: RunLocal) -> Result<LocalDeployment, Error> {
    HOST.run_local(arguments).await
}

/// Returns the help of a target, as Markdown.
///
/// Source: `target_help` of MLflow's plugins.
///
/// # Errors
/// The errors of [`Host::target_help`].
pub async fn target_help(target: Option<&str>) -> Result<Payload, Error> {
    HOST.target_help(target).await
}
