//! A host, which holds a search path, the loaded plugins and the current target.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{ClientOptions, Payload, TargetUri, sync};

use crate::builder::HostBuilder;
use crate::client::deploy_client::DeployClient;
use crate::client::event::default_listener;
use crate::client::local_deployment::LocalDeployment;
use crate::client::target::Target;
use crate::config::ConfigFile;
use crate::discovery::config_warning::ConfiguredPlugins;
use crate::discovery::digest::Identity;
use crate::discovery::lock::Lock;
use crate::discovery::scan::Discovery;
use crate::discovery::search_path::{Sources, environment, setting};
use crate::load::preflight::{LoadStore, Preflight};
use crate::loader::{ChosenPlugin, Loader};
use crate::named_targets::NamedTargets;
use crate::{Candidate, Error, NamedTarget, ProjectFile};

const TARGET_VARIABLE: &str = "MLFLOW_DEPLOYMENTS_TARGET";

/// Finds plugins, loads them on first use, and creates clients of their targets.
///
/// Clones share the loaded plugins and the current target.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
/// # mlflow_deploy::blocking::wait(async {
/// use mlflow_deploy::args::Predict;
/// use mlflow_deploy::{Host, Payload};
///
/// let host = Host::builder().plugin(plugin).build();
/// host.set_deployments_target("echo")?;
/// let client = host.get_deploy_client(None).await?;
/// let answer = client.predict(Predict::endpoint("echo", Payload::from_json(&["hello"])?)).await?;
/// assert_eq!(answer.json::<Vec<String>>()?, ["hello"]);
/// # Ok::<(), mlflow_deploy::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Host(Arc<HostState>);

struct HostState {
    sources: Sources,
    schemes: Option<Vec<String>>,
    configured_plugins: ConfiguredPlugins,
    /// The named targets, once they were read.
    named_targets: OnceLock<NamedTargets>,
    reads_user_targets: bool,
    loader: Arc<Loader>,
    /// The current target, which [`Host::set_deployments_target`] sets.
    target: Mutex<Option<TargetUri>>,
}

impl Host {
    /// Creates a host that searches the directories of the environment, the user and the system for plugins.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder of a host.
    pub fn builder() -> HostBuilder {
        HostBuilder::new()
    }

    /// Searches the directories for plugins. Loads nothing.
    pub fn discover(&self) -> Discovery {
        let admit = |manifest: &Manifest, identity: &Identity| self.0.loader.check(manifest, identity);
        let discovery = Discovery::run(&self.0.sources.files, &self.0.sources.entries(setting), &admit);
        discovery.with_config_warnings(&self.0.configured_plugins, self.0.sources.warning(setting))
    }

    /// Reads the lock file, whose path [`HostBuilder::lock_file`] or else `MLFLOW_DEPLOY_LOCK_FILE` specifies. Returns
    /// `None` if neither is set.
    ///
    /// # Errors
    /// [`Error::Lock`] if the file is missing, untrusted or invalid.
    pub fn lock(&self) -> Result<Option<Lock>, Error> {
        self.0.loader.lock()
    }

    /// Creates a client of a target, or of the current target if `target` is `None`.
    ///
    /// Source: `mlflow.deployments.get_deploy_client`. That function returns `None` if no target is set.
    ///
    /// # Errors
    /// The errors of [`target`](Self::target); [`Error::Load`]; the error of the plugin, if the target or the
    /// environment is invalid.
    pub async fn get_deploy_client(&self, target: Option<&str>) -> Result<DeployClient, Error> {
        self.get_deploy_client_with(target, &ClientOptions::default()).await
    }

    /// Creates a client with the given options, which take precedence over the environment. Two clients of one target
    /// can therefore have different options in the same process.
    ///
    /// ```
    /// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
    /// # mlflow_deploy::blocking::wait(async {
    /// use mlflow_deploy::{ClientOptions, Host};
    ///
    /// let host = Host::builder().plugin(plugin).build();
    /// let client = host.get_deploy_client_with(Some("echo"), &ClientOptions::default()).await?;
    /// assert_eq!(client.manifest().name, "echo");
    /// # Ok::<(), mlflow_deploy::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The errors of [`get_deploy_client`](Self::get_deploy_client), or the error of the plugin, if the options are
    /// invalid.
    pub async fn get_deploy_client_with(
        &self,
        target: Option<&str>,
        options: &ClientOptions,
    ) -> Result<DeployClient, Error> {
        self.target(target)?.open(options, None).await
    }

    /// Finds the plugin of a target, or of the current target if `target` is `None`. Loads nothing.
    ///
    /// The target is a target URI, or the name of a named target, see [`HostBuilder::user_config`]. A named target
    /// precedes a plugin that serves its name as a scheme.
    ///
    /// # Errors
    /// [`Error::NoTarget`], [`Error::NotAllowed`], [`Error::NoPlugin`], [`Error::Ambiguous`]; [`Error::Load`] if a
    /// plugin that the program specifies by its file cannot be used; [`Error::Config`] if the file of the named targets
    /// cannot be used; `INVALID_PARAMETER_VALUE` if the target URI is invalid.
    pub fn target(&self, target: Option<&str>) -> Result<Target, Error> {
        let given = match target {
            Some(target) => TargetUri::parse(target)?,
            None => self.get_deployments_target()?,
        };
        let named = self.named_target(given.as_str())?;
        let uri = named.as_ref().map_or(&given, |named| &named.uri);
        if let Some(allowed) = &self.0.schemes
            && !allowed.iter().any(|scheme| scheme == uri.scheme())
        {
            return Err(Error::NotAllowed { scheme: uri.scheme().to_owned(), allowed: allowed.clone() });
        }
        let discovery = self.discover();
        let plugin = named.as_ref().and_then(|named| named.plugin.as_deref());
        let choice = discovery.choose_plugin(uri, plugin);
        let winner = choice.map_err(|error| self.explain(target, named.as_deref(), error))?.winner;
        let plugin = ChosenPlugin {
            path: winner.path.clone(),
            manifest: Arc::new(winner.manifest().expect("a chosen plugin has a manifest").clone()),
            identity: winner.identity.expect("the manifest was read from a file"),
            is_trusted: winner.is_trusted,
            isolated_by_target: named.as_ref().filter(|named| named.is_isolated).map(|named| named.file.clone()),
            warnings: discovery.warnings_about(winner),
        };
        let warning = named.as_ref().and_then(|named| discovery.scheme_warning(named));
        Ok(Target::new(Arc::clone(&self.0.loader), uri.clone(), plugin).with_name(named, warning))
    }

    /// Returns the named targets of the user's configuration and of a trusted project file, see
    /// [`HostBuilder::user_config`]. If two have the same name, the first one is used.
    ///
    /// # Errors
    /// [`Error::Config`] if a file cannot be used.
    pub fn named_targets(&self) -> Result<impl Iterator<Item = &NamedTarget>, Error> {
        Ok(self.targets_of_files()?.all())
    }

    /// Returns the project file in the current directory or above it, see [`HostBuilder::user_config`]; `None` if there is
    /// none, or if the host does not take named targets.
    ///
    /// # Errors
    /// [`Error::Config`] if a file cannot be used.
    pub fn project_file(&self) -> Result<Option<&ProjectFile>, Error> {
        Ok(self.targets_of_files()?.project_file.as_ref())
    }

    /// Returns the named target that a text names. Reads no file if the text cannot be a name.
    fn named_target(&self, target: &str) -> Result<Option<Arc<NamedTarget>>, Error> {
        match NamedTarget::check_name(target) {
            Ok(()) => Ok(self.targets_of_files()?.get(target).cloned()),
            Err(_not_a_name) => Ok(None),
        }
    }

    /// Returns the named targets. Reads their files on the first call, unless the builder has read them.
    fn targets_of_files(&self) -> Result<&NamedTargets, Error> {
        let HostState { named_targets, reads_user_targets, .. } = &*self.0;
        if let Some(read) = named_targets.get() {
            return Ok(read);
        }
        let read = match reads_user_targets {
            true => NamedTargets::new(ConfigFile::read(environment)?.take_targets(), environment)?,
            false => NamedTargets::default(),
        };
        Ok(named_targets.get_or_init(|| read))
    }

    /// Sets the current target. Accepts every target that a plugin serves, and the names of named targets.
    ///
    /// Source: `mlflow.deployments.set_deployments_target`. That function sets the target for the whole process, and
    /// refuses the targets of most plugins.
    ///
    /// # Errors
    /// The errors of [`target`](Self::target). The current target then stays the same.
    pub fn set_deployments_target(&self, target: &str) -> Result<(), Error> {
        self.target(Some(target))?;
        *sync::lock(&self.0.target) = Some(TargetUri::parse(target)?);
        Ok(())
    }

    /// Returns the current target, which [`set_deployments_target`](Self::set_deployments_target) or else
    /// `MLFLOW_DEPLOYMENTS_TARGET` sets. It may be the name of a named target.
    ///
    /// Source: `mlflow.deployments.get_deployments_target`.
    ///
    /// # Errors
    /// [`Error::NoTarget`]; `INVALID_PARAMETER_VALUE` if the variable is not a valid target URI.
    pub fn get_deployments_target(&self) -> Result<TargetUri, Error> {
        if let Some(target) = &*sync::lock(&self.0.target) {
            return Ok(target.clone());
        }
        match setting(TARGET_VARIABLE).map(|target| target.to_string_lossy().into_owned()) {
            Some(target) if !target.trim().is_empty() => TargetUri::parse(&target).map_err(|error| {
                let message = format!("`{TARGET_VARIABLE}`: {}", error.message());
                Error::Target(mlflow_deploy_plugin_api::Error::invalid_parameter(message))
            }),
            _ => Err(Error::NoTarget),
        }
    }

    /// Adds to an error about a missing plugin where the target came from, and which names are known.
    fn explain(&self, target: Option<&str>, named: Option<&NamedTarget>, error: Error) -> Error {
        let Error::NoPlugin(mut missing) = error else { return error };
        if target.is_none() && sync::lock(&self.0.target).is_none() {
            missing.variable = Some(TARGET_VARIABLE);
        }
        match (named, self.targets_of_files()) {
            (Some(named), _) => missing.name = Some(named.name.clone()),
            (None, Ok(targets)) if NamedTarget::check_name(missing.target.as_str()).is_ok() => {
                missing.unread_file = targets.unread_file().map(ToString::to_string);
                *missing = missing.with_names(targets.all().map(|target| target.name.clone()).collect());
            }
            (None, _) => {}
        }
        Error::NoPlugin(missing)
    }

    /// Returns the help text of a target, in Markdown.
    ///
    /// Source: `target_help` of MLflow's plugins.
    ///
    /// # Errors
    /// The errors of [`target`](Self::target) and of [`Target::help`].
    pub async fn target_help(&self, target: Option<&str>) -> Result<Payload, Error> {
        self.target(target)?.help().await
    }

    /// Serves a model on this machine, as the target that `arguments.target_uri` specifies would serve it.
    ///
    /// Source: `mlflow.deployments.run_local`.
    ///
    /// # Errors
    /// The errors of [`target`](Self::target) and of [`Target::run_local`].
    pub async fn run_local(&self, arguments: RunLocal) -> Result<LocalDeployment, Error> {
        self.target(Some(&arguments.target_uri))?.run_local(arguments).await
    }

    /// Loads a quarantined plugin, whose first load crashed or hung, again in a separate process. The plugin leaves
    /// quarantine if it loads.
    ///
    /// # Errors
    /// [`Error::Load`] if loading fails or cannot be tried.
    pub async fn retry(&self, candidate: &Candidate) -> Result<(), Error> {
        self.0.loader.retry(candidate).await
    }
}

impl From<HostBuilder> for Host {
    fn from(builder: HostBuilder) -> Self {
        let HostBuilder { sources, schemes, lock_file, listener, is_quiet, isolation, .. } = builder;
        let listener = listener.unwrap_or_else(|| default_listener(is_quiet));
        let state_dir = builder.state_dir;
        let preflight = Preflight::new(builder.tries_first_loads.then(|| LoadStore::new(state_dir, environment)));
        let loader = Arc::new(Loader::new(lock_file, listener, isolation, preflight));
        let (configured_plugins, reads_user_targets) = (builder.configured_plugins, builder.reads_user_targets);
        let named_targets = builder.named_targets.map_or_else(OnceLock::new, OnceLock::from);
        let target = Mutex::default();
        Self(Arc::new(HostState {
            sources,
            schemes,
            configured_plugins,
            named_targets,
            reads_user_targets,
            loader,
            target,
        }))
    }
}

// This method is here and not in `builder`, because the module `host` depends on `builder`.
impl HostBuilder {
    /// Creates the host. Does not search for plugins or load one.
    pub fn build(self) -> Host {
        Host::from(self)
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("sources", &self.0.sources).field("schemes", &self.0.schemes).finish()
    }
}
