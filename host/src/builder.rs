//! Sets up a host: where it looks, whom it trusts, which schemes it serves, and who hears its plugins.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Error;
use crate::client::event::{Listener, PluginEvent, trace};
use crate::config::{ConfigFile, Expectations};
use crate::discovery::search_path::{NamedFile, Sources, environment};
use crate::host::Host;
use crate::load::subprocess::IsolationPolicy;

/// Sets up a [`Host`].
///
/// ```
/// use mlflow_deploy::Host;
///
/// let host = Host::builder().search_path(["/opt/our-service/plugins"]).allow_schemes(["databricks"]).build();
/// assert!(host.target(Some("http://localhost:5000")).unwrap_err().to_string().contains("only `databricks`"));
/// ```
pub struct HostBuilder {
    pub(crate) sources: Sources,
    pub(crate) schemes: Option<Vec<String>>,
    pub(crate) lock_file: Option<PathBuf>,
    pub(crate) listener: Listener,
    pub(crate) isolation: IsolationPolicy,
    pub(crate) tries_first_loads: bool,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) expectations: Expectations,
}

impl HostBuilder {
    pub(crate) fn new() -> Self {
        Self {
            sources: Sources::default(),
            schemes: None,
            lock_file: None,
            listener: Arc::new(trace),
            isolation: IsolationPolicy::default(),
            tries_first_loads: false,
            state_dir: None,
            expectations: Expectations::default(),
        }
    }

    /// Adds a directory that comes before all others.
    #[must_use]
    pub fn plugin_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sources.given.push(directory.into());
        self
    }

    /// Searches these directories in the place of those of the environment, the user and the system.
    #[must_use]
    pub fn search_path<P: Into<PathBuf>>(mut self, directories: impl IntoIterator<Item = P>) -> Self {
        self.sources.instead = Some(directories.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a plugin by its file, which wins over every directory.
    #[must_use]
    pub fn plugin(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.files.push(NamedFile { path: file.into(), trusted: false });
        self
    }

    /// Adds a plugin by its file, and trusts it whoever owns the file and its folder, and whoever can change them.
    #[must_use]
    pub fn trusted_plugin(mut self, file: impl Into<PathBuf>) -> Self {
        self.sources.files.push(NamedFile { path: file.into(), trusted: true });
        self
    }

    /// Searches beside an executable too, as the command does: its folder, `plugins` in it, and `../lib`.
    #[must_use]
    pub fn beside_executable(mut self, executable: impl Into<PathBuf>) -> Self {
        self.sources.executable = Some(executable.into());
        self
    }

    /// Serves targets of these schemes and no others.
    #[must_use]
    pub fn allow_schemes<S: AsRef<str>>(mut self, schemes: impl IntoIterator<Item = S>) -> Self {
        self.schemes = Some(schemes.into_iter().map(|scheme| scheme.as_ref().to_lowercase()).collect());
        self
    }

    /// Loads only plugins that this lock file has, as `mlflow-deploy plugins lock` writes it. Without it, the file that
    /// `MLFLOW_DEPLOY_LOCK_FILE` names, where it is set.
    #[must_use]
    pub fn lock_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.lock_file = Some(file.into());
        self
    }

    /// Receives what plugins say beside their replies. It may be called from any thread and must not block.
    /// Without it, events go to `tracing`.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(PluginEvent) + Send + Sync + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// Runs these plugins, by their names, in processes of their own: what one of them does to its process is an error
    /// for its callers, and nothing to this one. Those whose manifest requires it always do.
    ///
    /// The process sees what the plugin declares of the environment, and little else. It ends with this one. Where it
    /// dies before that, its calls answer `PLUGIN_CRASHED`, and the next call starts it anew.
    #[must_use]
    pub fn isolate<S: Into<String>>(mut self, plugins: impl IntoIterator<Item = S>) -> Self {
        self.isolation.named.extend(plugins.into_iter().map(Into::into));
        self
    }

    /// Runs every plugin in a process of its own, as [`isolate`](Self::isolate) does.
    #[must_use]
    pub fn isolate_all(mut self) -> Self {
        self.isolation.all = true;
        self
    }

    /// Lets a plugin that runs in a process of its own see these variables of the environment too: by their names, or
    /// `PREFIX*` for all that begin so. It needs that where one variable or option names another, or where programs that
    /// it starts have variables of their own.
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

    /// The program that hosts plugins in processes of their own: `mlflow-deploy-plugin-host`, or one of the program's own
    /// that calls [`serve_plugin`](crate::serve_plugin).
    ///
    /// Without it: `MLFLOW_DEPLOY_PLUGIN_HOST`, else the folder of the running executable, `../libexec/mlflow-deploy`
    /// beside it, `/usr/local/libexec/mlflow-deploy` and `/usr/libexec/mlflow-deploy`.
    #[must_use]
    pub fn plugin_host(mut self, program: impl Into<PathBuf>) -> Self {
        self.isolation.program = Some(program.into());
        self
    }

    /// Loads what was never loaded before into a process of its own first, as the command does: what crashes or hangs
    /// there is refused, and not loaded again until it changes.
    ///
    /// What was loaded once is remembered by the SHA-256 of its file, below `$XDG_STATE_HOME/mlflow-deploy`, which is
    /// `~/.local/state/mlflow-deploy` unless set. Needs the program of [`plugin_host`](Self::plugin_host); where that is
    /// not found, a warning says so and the plugin is loaded.
    #[must_use]
    pub fn try_first_loads(mut self) -> Self {
        self.tries_first_loads = true;
        self
    }

    /// Does what the user's configuration says, `$XDG_CONFIG_HOME/mlflow-deploy/config.toml`, which is
    /// `~/.config/mlflow-deploy/config.toml` unless set: which plugins run in processes of their own, what they see there
    /// beside what they declare, and whether first loads are tried. No such file is no error.
    ///
    /// ```toml
    /// try-first-loads = true
    ///
    /// [plugins.NAME]
    /// isolation = "process"
    /// environment = ["MY_TOKEN", "AWS_*"]
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] where the file cannot be read, or says what is not known. A plugin that it names and that is not
    /// found is worth a warning: another one is loaded that may have been meant, or all are listed.
    pub fn user_config(mut self) -> Result<Self, Error> {
        let config = ConfigFile::read(environment)?;
        self.tries_first_loads = config.try_first_loads.unwrap_or(self.tries_first_loads);
        self.expectations = config.expectations();
        let (configured, variables) = config.isolation();
        self.isolation.configured.extend(configured);
        Ok(variables
            .into_iter()
            .fold(self, |builder, (plugin, variables)| builder.isolated_environment(plugin, variables)))
    }

    /// Remembers first loads in this folder.
    #[must_use]
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(folder.into());
        self
    }

    /// The host. Nothing is searched or loaded yet.
    pub fn build(self) -> Host {
        Host::from(self)
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HostBuilder").field("sources", &self.sources).field("schemes", &self.schemes).finish()
    }
}
