//! A target whose plugin has been found. Its manifest can be read before the plugin is loaded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::ffi::RemotePlugin;
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{ClientOptions, Deadline, Payload, Redactor, TargetUri};
use serde_json::Value;

use crate::Error;
use crate::client::declared_secrets::declared_secrets;
use crate::client::deploy_client::{DeployClient, redact};
use crate::client::local_deployment::LocalDeployment;
use crate::client::timeout::within;
use crate::loader::{ChosenPlugin, Loader};
use crate::named_targets::{CompleteOptions, NamedTarget, complete, default_option};

/// The minimum time limit for requesting the help of a target. A process plugin may load its libraries for the help, for which
/// it has its `start_timeout`.
const MIN_HELP_TIME: Duration = Duration::from_secs(10);

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
    named: Option<Arc<NamedTarget>>,
    /// A warning about the name of a named target, which a plugin serves as a scheme.
    name_warning: Option<Arc<str>>,
}

impl Target {
    pub(crate) fn new(loader: Arc<Loader>, uri: TargetUri, plugin: ChosenPlugin) -> Self {
        Self { loader, uri, plugin: Arc::new(plugin), named: None, name_warning: None }
    }

    /// Returns the same target with the options and the timeout of a named target.
    pub(crate) fn with_name(self, named: Option<Arc<NamedTarget>>, warning: Option<String>) -> Self {
        Self { named, name_warning: warning.map(Arc::from), ..self }
    }

    /// Returns the definition of a named target; `None` if the target was selected by a URI.
    pub fn named(&self) -> Option<&NamedTarget> {
        self.named.as_deref()
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

    /// Creates a client of the target. The options take precedence over environment variables, and over the options of a
    /// named target. The timeout applies to this call, and to every call of the client; the default is the timeout of a
    /// named target.
    ///
    /// The secrets of a named target are read by this call, except for those of the given options.
    ///
    /// # Errors
    /// [`Error::Load`]; `UNAUTHENTICATED` if a secret of a named target cannot be read; the error of the plugin, if the
    /// target, the options or the environment are invalid; `DEADLINE_EXCEEDED` if the timeout expires.
    pub async fn open(&self, options: &ClientOptions, timeout: Option<Duration>) -> Result<DeployClient, Error> {
        let timeout = timeout.or_else(|| self.named.as_ref()?.timeout);
        let deadline = timeout.map(Deadline::after);
        let open = async {
            let plugin = self.load().await?;
            let CompleteOptions { options, mut secrets } = match &self.named {
                Some(named) => complete(named, options, &self.manifest().options, deadline).await?,
                None => CompleteOptions { options: options.clone(), secrets: Vec::new() },
            };
            secrets.extend(declared_secrets(self.manifest(), &options));
            self.loader.hide(&secrets);
            let redactor = (!secrets.is_empty()).then(|| Redactor::new(secrets));
            let client = plugin.open(&self.uri, &options, deadline.map(Deadline::remaining)).await;
            Ok::<_, Error>((client.map_err(|error| redact(error, &redactor))?, redactor))
        };
        let (client, redactor) = within(deadline, open).await?;
        Ok(DeployClient::new(client, Arc::clone(&self.plugin.manifest), timeout).with_redactor(redactor))
    }

    /// Returns the value of one option of a named target, which [`open`](Self::open) uses if the caller does not give the
    /// option. Returns `None` if the target is not a named one, or does not have the option.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` if the value is a secret that cannot be read; `INVALID_PARAMETER_VALUE` if the value does not have
    /// the type that the plugin expects; `DEADLINE_EXCEEDED` if the timeout expires.
    pub async fn default_option(&self, key: &str, timeout: Option<Duration>) -> Result<Option<Value>, Error> {
        let Some(named) = &self.named else { return Ok(None) };
        let deadline = timeout.or(named.timeout).map(Deadline::after);
        Ok(within(deadline, default_option(named, key, &self.manifest().options, deadline)).await?)
    }

    /// Loads the plugin on the first call.
    async fn load(&self) -> Result<RemotePlugin, Error> {
        if let Some(warning) = &self.name_warning {
            self.loader.warn(&self.plugin.manifest.name, warning);
        }
        self.loader.load(&self.plugin).await
    }

    /// Returns the help of the target, as Markdown.
    ///
    /// # Errors
    /// [`Error::Load`]; `NOT_IMPLEMENTED` if the plugin has no help; `DEADLINE_EXCEEDED` after ten
    /// seconds, or the longer `start_timeout` of a process plugin.
    pub async fn help(&self) -> Result<Payload, Error> {
        let plugin = self.load().await?;
        let limit = match self.manifest() {
            manifest if manifest.is_process() => Duration::from_secs(manifest.start_timeout.into()).max(MIN_HELP_TIME),
            _ => MIN_HELP_TIME,
        };
        Ok(within(Some(Deadline::after(limit)), plugin.target_help()).await?)
    }

    /// Serves a model on this machine, in the same way as the target. Ignores the target URI of the arguments.
    ///
    /// # Errors
    /// [`Error::Load`]; `NOT_IMPLEMENTED` if the plugin cannot serve models locally. [`LocalDeployment::next`] returns
    /// all other errors.
    pub async fn run_local(&self, arguments: RunLocal) -> Result<LocalDeployment, Error> {
        let arguments = RunLocal { target_uri: self.uri.as_str().to_owned(), ..arguments };
        let plugin = self.load().await?;
        Ok(LocalDeployment::new(plugin.run_local(&arguments)?))
    }
}
