//! A target whose plugin has been found. Its manifest can be read before the plugin is loaded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{ClientOptions, Deadline, Payload, TargetUri};

use crate::Error;
use crate::client::deploy_client::DeployClient;
use crate::client::local_deployment::LocalDeployment;
use crate::client::timeout::within;
use crate::loader::{ChosenPlugin, Loader};

/// The time limit for requesting the help of a target.
const MAX_HELP_TIME: Duration = Duration::from_secs(10);

/// A target, and the plugin that serves it. The plugin is loaded by the first call that needs it.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
/// use mlflow_deploy::{ClientOptions, Host, blocking};
///
/// let target = Host::builder().plugin(plugin).build().target(Some("echo://anywhere"))?;
/// assert_eq!((target.uri().suffix(), target.manifest().name.as_str()), ("anywhere", "echo"));
/// let client = blocking::wait(target.open(&ClientOptions::default(), None))?;
/// assert!(blocking::wait(target.help())?.bytes().starts_with(b"# echo"));
/// # Ok::<(), mlflow_deploy::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    loader: Arc<Loader>,
    uri: TargetUri,
    plugin: Arc<ChosenPlugin>,
}

impl Target {
    pub(crate) fn new(loader: Arc<Loader>, uri: TargetUri, plugin: ChosenPlugin) -> Self {
        Self { loader, uri, plugin: Arc::new(plugin) }
    }

    /// Returns the target URI.
    pub fn uri(&self) -> &TargetUri {
        &self.uri
    }

    /// Returns the path of the plugin that serves the target.
    pub fn path(&self) -> &Path {
        &self.plugin.path
    }

    /// Returns the manifest of the plugin that serves the target.
    pub fn manifest(&self) -> &Manifest {
        &self.plugin.manifest
    }

    /// Creates a client of the target. The options take precedence over environment variables. The timeout applies to
    /// this call, and to every call of the client.
    ///
    /// # Errors
    /// [`Error::Load`]; the error of the plugin, if the target, the options or the environment are invalid;
    /// `DEADLINE_EXCEEDED` if the timeout expires.
    pub async fn open(&self, options: &ClientOptions, timeout: Option<Duration>) -> Result<DeployClient, Error> {
        let deadline = timeout.map(Deadline::after);
        let open = async {
            let plugin = self.loader.load(&self.plugin).await?;
            Ok::<_, Error>(plugin.open(&self.uri, options, deadline.map(Deadline::remaining)).await?)
        };
        let client = within(deadline, open).await?;
        Ok(DeployClient::new(client, Arc::clone(&self.plugin.manifest), timeout))
    }

    /// Returns the help of the target, as Markdown.
    ///
    /// # Errors
    /// [`Error::Load`]; `NOT_IMPLEMENTED` if the plugin has no help; `DEADLINE_EXCEEDED` after ten seconds.
    pub async fn help(&self) -> Result<Payload, Error> {
        let plugin = self.loader.load(&self.plugin).await?;
        Ok(within(Some(Deadline::after(MAX_HELP_TIME)), plugin.target_help()).await?)
    }

    /// Serves a model on this machine, in the same way as the target. Ignores the target URI of the arguments.
    ///
    /// # Errors
    /// [`Error::Load`]; `NOT_IMPLEMENTED` if the plugin cannot serve models locally. [`LocalDeployment::next`] returns
    /// all other errors.
    pub async fn run_local(&self, arguments: RunLocal) -> Result<LocalDeployment, Error> {
        let arguments = RunLocal { target_uri: self.uri.as_str().to_owned(), ..arguments };
        let plugin = self.loader.load(&self.plugin).await?;
        Ok(LocalDeployment::new(plugin.run_local(&arguments)?))
    }
}
