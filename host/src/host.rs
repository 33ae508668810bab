//! A host: a search path, what was found on it, and the plugins loaded so far.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlflow_deploy_plugin_api::call::{Event, Level};
use mlflow_deploy_plugin_api::ffi::RemotePlugin;
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{ClientOptions, Payload, TargetUri};

use crate::client::{DeployClient, within};
use crate::discover::{CandidateState, Discovery};
use crate::search_path::{Sources, environment};
use crate::{Error, library};

/// Something that a plugin said beside its replies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginEvent {
    /// The plugin's name.
    pub plugin: String,
    /// The call that it concerns, 0 for none.
    pub call: u64,
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub event: Event,
}

type Listener = Arc<dyn Fn(PluginEvent) + Send + Sync>;

/// Finds plugins, loads them when they are first needed, and makes clients of their targets.
///
/// Clones share what has been found and loaded.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    files: Vec<PathBuf>,
    sources: Sources,
    listener: Listener,
    /// The plugins loaded so far, by device and inode: one file is loaded once, whatever it is called.
    loaded: Mutex<HashMap<(u64, u64), RemotePlugin>>,
}

/// Sets up a [`Host`].
pub struct HostBuilder {
    files: Vec<PathBuf>,
    sources: Sources,
    listener: Listener,
}

impl Host {
    /// A host that searches the directories of the environment, the user and the system.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A host to be set up.
    pub fn builder() -> HostBuilder {
        HostBuilder { files: Vec::new(), sources: Sources::default(), listener: Arc::new(trace) }
    }

    /// Looks through the search path. Nothing is loaded.
    pub fn discover(&self) -> Discovery {
        Discovery::run(&self.0.files, &self.0.sources.entries(environment))
    }

    /// Makes a client of a target; without one, of the target that `MLFLOW_DEPLOYMENTS_TARGET` names.
    ///
    /// Source: `mlflow.deployments.get_deploy_client`, which returns `None` where no target is set.
    ///
    /// # Errors
    /// [`Error::NoTarget`], [`Error::NoPlugin`], [`Error::Ambiguous`], [`Error::Load`], or what the plugin says of the
    /// target or the environment.
    pub async fn get_deploy_client(&self, target: Option<&str>) -> Result<DeployClient, Error> {
        self.get_deploy_client_with(target, &ClientOptions::default(), None).await
    }

    /// Makes a client with options of its own, which win over the environment, and a limit to every call.
    ///
    /// # Errors
    /// As [`get_deploy_client`](Self::get_deploy_client); `DEADLINE_EXCEEDED` where the plugin does not answer in time.
    pub async fn get_deploy_client_with(
        &self,
        target: Option<&str>,
        options: &ClientOptions,
        timeout: Option<Duration>,
    ) -> Result<DeployClient, Error> {
        let target = target_or_default(target)?;
        let plugin = self.load(&target).await?;
        let client = within(timeout, plugin.remote.open(&target, options, timeout)).await?;
        Ok(DeployClient::new(client, Arc::clone(&plugin.manifest), timeout))
    }

    /// What the target's plugin tells a user about it.
    ///
    /// # Errors
    /// As [`get_deploy_client`](Self::get_deploy_client); `NOT_IMPLEMENTED` where the plugin has no help.
    pub async fn target_help(&self, target: Option<&str>) -> Result<Payload, Error> {
        let target = target_or_default(target)?;
        Ok(self.load(&target).await?.remote.target_help().await?)
    }

    /// The plugin of a target, loaded.
    async fn load(&self, target: &TargetUri) -> Result<Loaded, Error> {
        let discovery = self.discover();
        // A file that was named is meant: to pass it over in silence would be to ask another target.
        for named in discovery.candidates.iter().filter(|candidate| candidate.directory.is_none()) {
            if let CandidateState::Refused(refusal) = &named.state {
                return Err(Error::Load { path: named.path.clone(), refusal: refusal.clone() });
            }
        }
        let winner = discovery.choose(target)?.winner;
        let manifest = Arc::new(winner.manifest().expect("only what has a manifest is chosen").clone());
        let refused = |refusal| Error::Load { path: winner.path.clone(), refusal };
        let id = identity(&winner.path).map_err(|error| refused(crate::Refusal::Unreadable(error.to_string())))?;
        let known = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(remote) = known {
            return Ok(Loaded { remote, manifest });
        }
        let (listener, name) = (Arc::clone(&self.0.listener), manifest.name.clone());
        let listener = move |call, level, event| listener(PluginEvent { plugin: name.clone(), call, level, event });
        let remote = library::load(&winner.path, listener).await.map_err(refused)?;
        // Of two loads at once the first one counts; the other instance has done nothing yet.
        let mut loaded = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let remote = loaded.entry(id).or_insert(remote).clone();
        Ok(Loaded { remote, manifest })
    }
}

struct Loaded {
    remote: RemotePlugin,
    manifest: Arc<Manifest>,
}

fn target_or_default(target: Option<&str>) -> Result<TargetUri, Error> {
    match target {
        Some(target) => Ok(TargetUri::parse(target)?),
        None => match environment("MLFLOW_DEPLOYMENTS_TARGET") {
            Some(target) if !target.is_empty() => Ok(TargetUri::parse(&target.to_string_lossy())?),
            _ => Err(Error::NoTarget),
        },
    }
}

/// The file behind a path.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Where events go unless the program says otherwise.
fn trace(said: PluginEvent) {
    let PluginEvent { plugin, call, level, event } = said;
    let message = event.message;
    match level {
        Level::Error => tracing::error!(plugin, call, "{message}"),
        Level::Warn => tracing::warn!(plugin, call, "{message}"),
        Level::Info => tracing::info!(plugin, call, progress = event.progress, "{message}"),
        _ => tracing::debug!(plugin, call, "{message}"),
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl HostBuilder {
    /// Adds a directory that comes before all others.
    #[must_use]
    pub fn plugin_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sources.given.push(directory.into());
        self
    }

    /// Adds a plugin by its file, which wins over every directory.
    #[must_use]
    pub fn plugin(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Searches beside an executable too, as the command does: its folder, `plugins` in it, and `../lib`.
    #[must_use]
    pub fn beside_executable(mut self, executable: impl Into<PathBuf>) -> Self {
        self.sources.executable = Some(executable.into());
        self
    }

    /// Receives what plugins say beside their replies. It may be called from any thread and must not block.
    /// Without it, events go to `tracing`.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(PluginEvent) + Send + Sync + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// The host. Nothing is searched or loaded yet.
    pub fn build(self) -> Host {
        let Self { files, sources, listener } = self;
        Host(Arc::new(Shared { files, sources, listener, loaded: Mutex::default() }))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("files", &self.0.files).field("sources", &self.0.sources).finish()
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HostBuilder").field("files", &self.files).field("sources", &self.sources).finish()
    }
}
