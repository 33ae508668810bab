//! A target whose plugin has been found. What its manifest says can be read before anything of the plugin runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{ClientOptions, Payload, TargetUri};

use crate::client::deploy_client::{DeployClient, within};
use crate::client::local_deployment::LocalDeployment;
use crate::discovery::digest::Identity;
use crate::{Error, Host};

/// How long a plugin may take to say how its target is used.
const HELP: Duration = Duration::from_secs(10);

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
    host: Host,
    uri: TargetUri,
    plugin: Arc<Chosen>,
}

/// The plugin that was chosen for a target, as it was found.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) path: PathBuf,
    pub(crate) manifest: Arc<Manifest>,
    /// The file whose manifest it is.
    pub(crate) identity: Identity,
    /// Whether it is trusted, whoever can change it.
    pub(crate) is_trusted: bool,
    /// What should be known before it is loaded.
    pub(crate) warnings: Vec<String>,
}

impl Target {
    pub(crate) fn new(host: Host, uri: TargetUri, plugin: Chosen) -> Self {
        Self { host, uri, plugin: Arc::new(plugin) }
    }

    /// The target URI.
    pub fn uri(&self) -> &TargetUri {
        &self.uri
    }

    /// The plugin's file.
    pub fn path(&self) -> &Path {
        &self.plugin.path
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.plugin.manifest
    }

    /// Makes a client with options of its own, which win over the environment, and a limit to this and every call.
    ///
    /// # Errors
    /// [`Error::Load`], or what the plugin says of the target, the options or the environment; `DEADLINE_EXCEEDED`
    /// where it does not answer in time.
    pub async fn open(&self, options: &ClientOptions, timeout: Option<Duration>) -> Result<DeployClient, Error> {
        let begun = Instant::now();
        let open = async {
            let plugin = self.host.load(&self.plugin).await?;
            let left = timeout.map(|limit| limit.saturating_sub(begun.elapsed()));
            Ok::<_, Error>(plugin.open(&self.uri, options, left).await?)
        };
        let client = within(timeout, open).await?;
        Ok(DeployClient::new(client, Arc::clone(&self.plugin.manifest), timeout))
    }

    /// What the plugin tells a user about the target, as Markdown.
    ///
    /// # Errors
    /// [`Error::Load`]; `NOT_IMPLEMENTED` where the plugin has no help; `DEADLINE_EXCEEDED` where it says nothing for ten
    /// seconds.
    pub async fn help(&self) -> Result<Payload, Error> {
        let plugin = self.host.load(&self.plugin).await?;
        Ok(within(Some(HELP), plugin.target_help()).await?)
    }

    /// Serves a model on this machine as the target would. The arguments' own target URI is not looked at.
    ///
    /// # Errors
    /// [`Error::Load`]; `NOT_IMPLEMENTED` where the plugin has no way to. All else comes through what is returned.
    pub async fn run_local(&self, arguments: RunLocal) -> Result<LocalDeployment, Error> {
        let arguments = RunLocal { target_uri: self.uri.as_str().to_owned(), ..arguments };
        let plugin = self.host.load(&self.plugin).await?;
        Ok(LocalDeployment::new(plugin.run_local(&arguments)?))
    }
}
