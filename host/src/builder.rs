//! The builder of a host. It sets the search path, the trusted plugins, the allowed schemes, the isolation of plugins,
//! the named targets and the listener for events.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Error;
use crate::client::event::{Listener, PluginEvent};
use crate::config::ConfigFile;
use crate::discovery::config_warning::ConfiguredPlugins;
use crate::discovery::search_path::{NamedFile, Sources, environment};
use crate::load::subprocess::IsolationPolicy;
use crate::named_targets::NamedTargets;

/// Sets the options of a [`Host`](crate::Host), and builds it.
///
/// ```
/// use mlflow_deploy::Host;
///
/// let host = Host::builder().search_path(["/opt/our-service/plugins"]).allow_schemes(["databricks"]).build();
/// assert!(host.target(Some("http://localhost:5000")).unwrap_err().to_string().contains("only `databricks`"));
/// ```
///
/// With events, isolation and a lock file:
///
/// ```no_run
/// # fn main() -> Result<(), mlflow_deploy::Error> {
/// let host = mlflow_deploy::Host::builder()
///     .user_config()?
///     .isolate(["my-plugin"])
///     .lock_file("/etc/our-service/mlflow-deploy.lock")
///     .on_event(|event| eprintln!("{}: {}", event.plugin, event.event.message))
///     .build();
/// # Ok(())
/// # }
/// ```
pub struct HostBuilder {
    pub(crate) sources: Sources,
    pub(crate) schemes: Option<Vec<String>>,
    pub(crate) lock_file: Option<PathBuf>,
    pub(crate) listener: Option<Listener>,
    pub(crate) is_quiet: bool,
    pub(crate) isolation: IsolationPolicy,
    pub(crate) tries_first_loads: bool,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) configured_plugins: ConfiguredPlugins,
    pub(crate) named_targets: Option<NamedTargets>,
    /// True if the named targets are read from the user's configuration when the first target is used.
    pub(crate) reads_user_targets: bool,
}

impl HostBuilder {
    pub(crate) fn new() -> Self {
        Self {
            sources: Sources::default(),
            schemes: None,
            lock_file: None,
            listener: None,
            is_quiet: false,
            isolation: IsolationPolicy::default(),
            tries_first_loads: false,
            state_dir: None,
            configured_plugins: ConfiguredPlugins::default(),
            named_targets: None,
            reads_user_targets: false,
        }
    }

    /// Adds a directory to search for plugins. It is searched before the directories of the environment, the user and
    /// the system.
    #[must_use]
    pub fn plugin_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sources.given.push(directory.into());
        self
    }

    /// Searches these directories for plugins, instead of those of the environment, the user and the system.
    #[must_use]
    pub fn search_path<P: Into<PathBuf>>(mut self, directories: impl IntoIterator<Item = P>) -> Self {
        self.sources.instead = Some(directories.into_iter().map(Into::into).collect());
        self
    }

    /// Adds the plugin in this file. It takes precedence over the plugins in the searched directories.
    #[must_use]
    pub fn plugin(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.files.push(NamedFile { path: file.into(), trusted: false });
        self
    }

    /// Adds the plugin in this file. Trusts it regardless of the owner and the mode of the file and its directory.
    #[must_use]
    pub fn trusted_plugin(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.files.push(NamedFile { path: file.into(), trusted: true });
        self
    }

    /// Also searches for plugins near an executable: in its directory, in the subdirectory `plugins`, and in
    /// `../lib/mlflow-deploy/plugins`. The command `mlflow-deploy` does this for its own executable.
    #[must_use]
    pub fn beside_executable(mut self, executable: impl Into<PathBuf>) -> Self {
        self.sources.executable = Some(executable.into());
        self
    }

    /// Allows only targets with these schemes. Any other target is an error.
    #[must_use]
    pub fn allow_schemes<S: AsRef<str>>(mut self, schemes: impl IntoIterator<Item = S>) -> Self {
        self.schemes = Some(schemes.into_iter().map(|scheme| scheme.as_ref().to_lowercase()).collect());
        self
    }

    /// Loads only plugins that match this lock file, which `mlflow-deploy plugins lock` writes. The default is the path
    /// in the environment variable `MLFLOW_DEPLOY_LOCK_FILE`, if it is set.
    #[must_use]
    pub fn lock_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.lock_file = Some(file.into());
        self
    }

    /// Sets the listener for the events of plugins. The listener may be called from any thread and must not block.
    ///
    /// By default, events go to the subscriber of `tracing`. If the program has none, warnings and errors are printed
    /// to stderr. A message is not printed again if it differs only in its values. See [`quiet`](Self::quiet).
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(PluginEvent) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Prints nothing to stderr, even if the program has neither a subscriber of `tracing` nor a listener.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Runs the plugins with these names in separate processes. A crash is then an error for the callers, and does not
    /// affect this process. A plugin whose manifest requires isolation is always isolated.
    ///
    /// The separate process sees only the environment variables that the plugin declares, and a few standard ones. It
    /// ends when this process ends. If it crashes, its calls return `PLUGIN_CRASHED`, and the next call restarts it.
    #[must_use]
    pub fn isolate<S: Into<String>>(mut self, plugins: impl IntoIterator<Item = S>) -> Self {
        self.isolation.named.extend(plugins.into_iter().map(Into::into));
        self
    }

    /// Runs every plugin in a separate process. See [`isolate`](Self::isolate).
    #[must_use]
    pub fn isolate_all(mut self) -> Self {
        self.isolation.all = true;
        self
    }

    /// Passes these additional environment variables to an isolated plugin. Each is a name, or `PREFIX*` for all names
    /// that start with `PREFIX`.
    ///
    /// Use this for a variable whose name is in another variable or in an option, and for the variables of programs
    /// that the plugin starts.
    #[must_use]
    pub fn isolated_environment<S: Into<String>>(
        mut self,
        plugin: impl Into<String>,
        variables: impl IntoIterator<Item = S>,
    ) -> Self {
        let allowed = self.isolation.variables.entry(plugin.into()).or_default();
        allowed.extend(variables.into_iter().map(Into::into));
        self
    }

    /// Sets the program that hosts isolated plugins: `mlflow-deploy-plugin-host`, or another program that calls
    /// [`serve_plugin`](crate::serve_plugin).
    ///
    /// The default is the path in the environment variable `MLFLOW_DEPLOY_PLUGIN_HOST`. If it is not set, these
    /// directories are searched: that of the running executable, `../libexec/mlflow-deploy` relative to it, and
    /// `libexec/mlflow-deploy` in `~/.local`, `/usr/local` and `/usr`.
    #[must_use]
    pub fn plugin_host(mut self, program: impl Into<PathBuf>) -> Self {
        self.isolation.program = Some(program.into());
        self
    }

    /// Tries to load each new plugin in a separate process before this process loads it, as the command `mlflow-deploy`
    /// does. A plugin that crashes or hangs there is quarantined: it is refused until its file changes.
    ///
    /// The outcome is stored by the SHA-256 of the file, in `$XDG_STATE_HOME/mlflow-deploy` (default
    /// `~/.local/state/mlflow-deploy`). Needs the program of [`plugin_host`](Self::plugin_host). If the program is not
    /// found, the plugin is loaded without the trial, and a warning is sent to the listener.
    #[must_use]
    pub fn try_first_loads(mut self) -> Self {
        self.tries_first_loads = true;
        self
    }

    /// Applies the user's configuration, `$XDG_CONFIG_HOME/mlflow-deploy/config.toml` (default
    /// `~/.config/mlflow-deploy/config.toml`), if the file exists. It selects the isolated plugins, their additional
    /// environment variables, and first-load checks, and it defines named targets.
    ///
    /// ```toml
    /// try-first-loads = true
    ///
    /// [plugins.NAME]
    /// isolation = "process"
    /// environment = ["MY_TOKEN", "AWS_*"]
    ///
    /// [targets.prod]
    /// uri = "openai"
    /// timeout = 30
    ///
    /// [targets.prod.options]
    /// api_key = { env = "PROD_KEY" }
    /// ```
    ///
    /// The name of a target is accepted wherever a target URI is: by [`Host::target`](crate::Host::target) and
    /// [`Host::get_deploy_client`](crate::Host::get_deploy_client), in the variable `MLFLOW_DEPLOYMENTS_TARGET`, and so on.
    /// The secrets of a named target, given as `{ env = "VARIABLE" }`, `{ file = "path" }` or
    /// `{ command = ["program", "argument"] }`, are read when a client is opened. See
    /// [`NamedTarget`](crate::NamedTarget).
    ///
    /// Also reads the targets of a project file, `mlflow-deploy.toml` in the current directory or the nearest directory
    /// above it, if the user trusts the file. They precede targets of the same name in the user's configuration. See
    /// [`ProjectFile`](crate::ProjectFile).
    ///
    /// # Errors
    /// [`Error::Config`] if a file cannot be read, or has an unknown key. A configured plugin that is not found is not an
    /// error. It gives a warning in [`Discovery::warnings`](crate::Discovery::warnings), and when a plugin with a similar
    /// name is loaded.
    pub fn user_config(mut self) -> Result<Self, Error> {
        let mut config = ConfigFile::read(environment)?;
        self.named_targets = Some(NamedTargets::new(config.take_targets(), environment)?);
        self.tries_first_loads = config.try_first_loads.unwrap_or(self.tries_first_loads);
        self.configured_plugins = config.configured_plugins();
        let (configured, variables) = config.isolation();
        self.isolation.configured.extend(configured);
        Ok(variables
            .into_iter()
            .fold(self, |builder, (plugin, variables)| builder.isolated_environment(plugin, variables)))
    }

    /// Reads the named targets of the user's configuration when the first target is used, but no other settings.
    pub(crate) fn user_targets(mut self) -> Self {
        self.reads_user_targets = true;
        self
    }

    /// Stores the outcomes of [`try_first_loads`](Self::try_first_loads) in this directory.
    #[must_use]
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(folder.into());
        self
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HostBuilder").field("sources", &self.sources).field("schemes", &self.schemes).finish()
    }
}
