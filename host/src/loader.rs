//! Loads each chosen plugin once and keeps it. Enforces trust, the lock file and the preflight of new files.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mlflow_deploy_plugin_api::call::{Event, Level};
use mlflow_deploy_plugin_api::ffi::RemotePlugin;
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{Secret, sync, trust};
use tokio::sync::OnceCell;

use crate::client::event::{Listener, PluginEvent};
use crate::client::known_secrets::KnownSecrets;
use crate::discovery::candidate::{Candidate, CandidateState};
use crate::discovery::digest::Identity;
use crate::discovery::lock::Lock;
use crate::discovery::plugin_file::{self, PluginFile};
use crate::load::dynamic_deps;
use crate::load::loading;
use crate::load::preflight::{LoadHistory, Preflight};
use crate::load::subprocess::{InstanceSpawner, IsolationPolicy};
use crate::{Error, IsolatedBy, LoadError};

/// The plugin that was chosen for a target. Holds the results of the search for plugins.
#[derive(Debug)]
pub(crate) struct ChosenPlugin {
    pub(crate) path: PathBuf,
    pub(crate) manifest: Arc<Manifest>,
    /// The identity that the file had when its manifest was read.
    pub(crate) identity: Identity,
    /// True if the file counts as trusted, regardless of its owner and mode.
    pub(crate) is_trusted: bool,
    /// The path of the configuration file whose named target isolates the plugin; `None` if no named target does.
    pub(crate) isolated_by_target: Option<PathBuf>,
    /// The warnings to emit before the plugin is loaded.
    pub(crate) warnings: Vec<String>,
}

/// Loads plugins and keeps the loaded ones.
pub(crate) struct Loader {
    lock_file: Option<PathBuf>,
    listener: Listener,
    isolation: IsolationPolicy,
    preflight: Preflight,
    /// The secrets that are removed from the events of plugins.
    secrets: KnownSecrets,
    /// The loaded plugins. A file is loaded once, even if it has several names or several tasks request it at once.
    loaded: Mutex<HashMap<LoadKey, Arc<OnceCell<RemotePlugin>>>>,
}

/// Identifies a loaded plugin. A named target may isolate a plugin that also runs in this process.
#[derive(PartialEq, Eq, Hash)]
struct LoadKey {
    /// The device number and the inode number of the file.
    file: (u64, u64),
    is_isolated: bool,
}

impl Loader {
    pub(crate) fn new(
        lock_file: Option<PathBuf>,
        listener: Listener,
        isolation: IsolationPolicy,
        preflight: Preflight,
    ) -> Self {
        let secrets = KnownSecrets::default();
        let redacting: Listener = Arc::new({
            let secrets = secrets.clone();
            move |mut event| {
                event.event.message = secrets.hide(event.event.message);
                listener(event);
            }
        });
        Self { lock_file, listener: redacting, isolation, preflight, secrets, loaded: Mutex::default() }
    }

    /// Removes these secrets from all later events of plugins.
    pub(crate) fn hide(&self, secrets: &[Secret]) {
        self.secrets.add(secrets);
    }

    /// Emits a warning about the plugin with this name.
    pub(crate) fn warn(&self, plugin: &str, warning: &str) {
        let (plugin, event) = (plugin.to_owned(), Event::new(warning));
        (self.listener)(PluginEvent { plugin, call: 0, level: Level::Warn, event });
    }

    /// Returns the reason why the plugin runs in its own process, or `None` if it runs in this one. Fails if its first
    /// load crashed or hung, or if the program for its own process is missing.
    pub(crate) fn check(&self, manifest: &Manifest, identity: &Identity) -> Result<Option<IsolatedBy>, LoadError> {
        let isolated_by = self.isolation.check(manifest)?;
        self.preflight.check(identity)?;
        Ok(isolated_by)
    }

    /// Reads the lock file that the program specifies, or else the one that `MLFLOW_DEPLOY_LOCK_FILE` specifies.
    /// Returns `None` if neither is specified.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, Error> {
        self.lock_file.clone().or_else(Lock::variable).map(|file| Lock::read(&file)).transpose()
    }

    /// Loads a quarantined plugin, whose first load crashed or hung, again in a separate process. Stores the new
    /// outcome.
    pub(crate) async fn retry(self: &Arc<Self>, candidate: &Candidate) -> Result<(), Error> {
        let failed = |refusal| Error::Load { path: candidate.path.clone(), refusal };
        match &candidate.state {
            CandidateState::Refused(error) if !matches!(error, LoadError::Quarantined { .. }) => {
                return Err(failed(error.clone()));
            }
            CandidateState::Ignored | CandidateState::Refused(_) | CandidateState::Usable(_) => {}
        }
        let manifest = candidate.declared().ok_or_else(|| failed(LoadError::NoManifest))?;
        self.retry_preflight(&candidate.path, manifest).await.map_err(failed)
    }

    async fn retry_preflight(self: &Arc<Self>, path: &Path, manifest: &Manifest) -> Result<(), LoadError> {
        let library = path.canonicalize().map_err(|error| LoadError::Unreadable(error.to_string()))?;
        let config = match self.isolation.spawn_config(&library, manifest, None)? {
            Some(config) => config,
            None => self.isolation.preflight_config(&library)?,
        };
        let (loader, file, declared) = (Arc::clone(self), library.clone(), manifest.clone());
        let forget = move || loader.preflight.forget(&PluginFile::open_plugin(&file, &declared)?);
        let history = loading::read(forget).await?;
        let outcome = loading::preflight(config).await;
        self.preflight.record(&history, &library, &outcome);
        outcome
    }

    /// Returns the chosen plugin. Loads the plugin on the first call.
    pub(crate) async fn load(self: &Arc<Self>, chosen: &Arc<ChosenPlugin>) -> Result<RemotePlugin, Error> {
        let ChosenPlugin { path, manifest, identity, isolated_by_target, warnings, .. } = &**chosen;
        let isolated_by = self.isolation.reason(manifest, isolated_by_target.as_ref());
        let key = LoadKey { file: identity.file_id(), is_isolated: isolated_by.is_some() };
        let cell = Arc::clone(sync::lock(&self.loaded).entry(key).or_default());
        let (listener, plugin) = (Arc::clone(&self.listener), manifest.name.clone());
        let listener = move |call, level, event| listener(PluginEvent { plugin: plugin.clone(), call, level, event });
        let failed = |refusal| Error::Load { path: path.clone(), refusal };
        let load = async || {
            warnings.iter().for_each(|warning| listener(0, Level::Warn, Event::new(warning)));
            let served = format!("the target is served by `{}`, version {}", path.display(), manifest.version);
            listener(0, Level::Info, Event::new(served));
            let (lock, loader, admitted) = (self.lock()?, Arc::clone(self), Arc::clone(chosen));
            let admit = move || loader.admit(&admitted, lock.as_ref());
            let (library, history) = loading::read(admit).await.map_err(failed)?;
            let plugin = self.load_admitted(&library, chosen, &history, listener).await.map_err(failed)?;
            // The system's loader opened the file by its path. Fails if that was not the inspected file.
            identity.check(&plugin_file::files(path, manifest).map_err(failed)?).map_err(failed)?;
            Ok(plugin.declaring(&manifest.operations))
        };
        cell.get_or_try_init(load).await.cloned()
    }

    /// Checks that a plugin may be loaded. Returns the real path of its file, and tells if the file was loaded before.
    fn admit(&self, chosen: &ChosenPlugin, lock: Option<&Lock>) -> Result<(PathBuf, LoadHistory), LoadError> {
        let opened = PluginFile::open_plugin(&chosen.path, &chosen.manifest)?;
        if opened.identity != chosen.identity {
            return Err(LoadError::Changed);
        }
        if !chosen.is_trusted {
            trust::check_code(&chosen.path)?;
            match &opened.program {
                Some(program) => program.check_trust()?,
                None => dynamic_deps::check_trust(&chosen.path)?,
            }
        }
        if let Some(lock) = lock {
            lock.check_measured(&chosen.manifest, &opened.measure()?)?;
        }
        let history = self.preflight.history(&opened)?;
        let library = chosen.path.canonicalize().map_err(|error| LoadError::Unreadable(error.to_string()))?;
        Ok((library, history))
    }

    async fn load_admitted(
        &self,
        library: &Path,
        chosen: &ChosenPlugin,
        history: &LoadHistory,
        listener: impl Fn(u64, Level, Event) + Clone + Send + Sync + 'static,
    ) -> Result<RemotePlugin, LoadError> {
        let (manifest, by_target) = (&chosen.manifest, chosen.isolated_by_target.as_ref());
        let debug = |message: &str| listener(0, Level::Debug, Event::new(message));
        if let Some(config) = self.isolation.spawn_config(library, manifest, by_target)? {
            let reason =
                self.isolation.reason(manifest, by_target).map(|reason| format!(": {reason}")).unwrap_or_default();
            debug(&format!("the plugin runs in its own process{reason}"));
            let plugin = loading::into_own_process(config, listener).await;
            self.preflight.record(history, library, &plugin);
            return plugin;
        }
        debug(match history {
            LoadHistory::Known => "the plugin runs in this process; it was loaded before",
            LoadHistory::New(_) => {
                "the plugin runs in this process; it is new, and is first tried in a separate process"
            }
            LoadHistory::Disabled => "the plugin runs in this process; first-load checks are off",
        });
        if let LoadHistory::New(_) = history {
            self.try_first_load(library, history, &listener).await?;
        }
        let spawner = self.isolation.instance_config(library, manifest).ok().and_then(InstanceSpawner::new);
        loading::into_this_process(library.to_owned(), spawner, listener).await
    }

    /// Loads a new plugin in a separate process. Only emits a warning if the program for that process is missing or
    /// unusable.
    async fn try_first_load(
        &self,
        library: &Path,
        history: &LoadHistory,
        listener: &impl Fn(u64, Level, Event),
    ) -> Result<(), LoadError> {
        let outcome = match self.isolation.preflight_config(library) {
            Ok(config) => loading::preflight(config).await,
            Err(no_program) => Err(no_program),
        };
        self.preflight.record(history, library, &outcome);
        let reason = match outcome {
            Err(LoadError::NeedsIsolation { searched, .. }) => {
                let searched: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
                format!("`mlflow-deploy-plugin-host` not found, searched `{}`", searched.join("`, `"))
            }
            Err(LoadError::PluginHost(reason)) => reason,
            outcome => return outcome,
        };
        let file = library.display();
        let warning = format!("the new plugin `{file}` is loaded without a trial in a separate process: {reason}");
        listener(0, Level::Warn, Event::new(warning));
        Ok(())
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Loader").field("isolation", &self.isolation).finish_non_exhaustive()
    }
}
