//! A host: a search path, what was found on it, and the plugins loaded so far.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::call::{Event, Level};
use mlflow_deploy_plugin_api::ffi::RemotePlugin;
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{ClientOptions, Payload, TargetUri, trust};
use tokio::sync::OnceCell;

use crate::builder::HostBuilder;
use crate::client::deploy_client::DeployClient;
use crate::client::event::{Listener, PluginEvent};
use crate::client::local_deployment::LocalDeployment;
use crate::client::target::{Chosen, Target};
use crate::config::Expectations;
use crate::discovery::digest::Identity;
use crate::discovery::lock::Lock;
use crate::discovery::plugin_file::PluginFile;
use crate::discovery::scan::Discovery;
use crate::discovery::search_path::{Sources, environment};
use crate::load::dynamic_deps;
use crate::load::loading;
use crate::load::preflight::{LoadHistory, LoadStore, Preflight};
use crate::load::subprocess::{InstanceSpawner, IsolationPolicy};
use crate::{Candidate, CandidateState, Error, LoadError};

/// Finds plugins, loads them when they are first needed, and makes clients of their targets.
///
/// Clones share what has been loaded and which target is set.
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
/// let inputs = Payload::from_json(&["hello"])?;
/// let answer = client.predict(Predict { endpoint: Some("echo".to_owned()), inputs, ..Predict::default() }).await?;
/// assert_eq!(answer.json::<Vec<String>>()?, ["hello"]);
/// # Ok::<(), mlflow_deploy::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    sources: Sources,
    schemes: Option<Vec<String>>,
    lock_file: Option<PathBuf>,
    listener: Listener,
    isolation: IsolationPolicy,
    trials: Preflight,
    expectations: Expectations,
    /// The target that was set.
    target: Mutex<Option<TargetUri>>,
    /// The plugins loaded so far: one file is loaded once, whatever it is called, and however many ask for it at once.
    loaded: Mutex<HashMap<FileId, Arc<OnceCell<RemotePlugin>>>>,
}

/// A file, whatever its name: its device and inode.
type FileId = (u64, u64);

impl Host {
    /// A host that searches the directories of the environment, the user and the system.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A host to be set up.
    pub fn builder() -> HostBuilder {
        HostBuilder::new()
    }

    /// Looks through the search path. Nothing is loaded.
    pub fn discover(&self) -> Discovery {
        let admit = |manifest: &Manifest, identity: &Identity| {
            let isolated_by = self.0.isolation.check(manifest)?;
            self.0.trials.check(identity)?;
            Ok(isolated_by)
        };
        let discovery = Discovery::run(&self.0.sources.files, &self.0.sources.entries(environment), &admit);
        discovery.with_config_warnings(&self.0.expectations)
    }

    /// The lock file that plugins have to agree with, read now: the one that the program gave, else the one that
    /// `MLFLOW_DEPLOY_LOCK_FILE` names; `None` where there is neither.
    ///
    /// # Errors
    /// [`Error::Lock`] where it is not there, or is none.
    pub fn lock(&self) -> Result<Option<Lock>, Error> {
        let named = || environment("MLFLOW_DEPLOY_LOCK_FILE").filter(|name| !name.is_empty()).map(PathBuf::from);
        self.0.lock_file.clone().or_else(named).map(|file| Lock::read(&file)).transpose()
    }

    /// Makes a client of a target; without one, of the target that is set.
    ///
    /// Source: `mlflow.deployments.get_deploy_client`, which returns `None` where no target is set.
    ///
    /// # Errors
    /// As [`target`](Self::target); [`Error::Load`]; or what the plugin says of the target or the environment.
    pub async fn get_deploy_client(&self, target: Option<&str>) -> Result<DeployClient, Error> {
        self.get_deploy_client_with(target, &ClientOptions::default()).await
    }

    /// Makes a client with options of its own, which win over the environment, so that many clients of one target can
    /// differ in one process.
    ///
    /// # Errors
    /// As [`get_deploy_client`](Self::get_deploy_client), or what the plugin says of the options.
    pub async fn get_deploy_client_with(
        &self,
        target: Option<&str>,
        options: &ClientOptions,
    ) -> Result<DeployClient, Error> {
        self.target(target)?.open(options, None).await
    }

    /// Finds the plugin of a target; without one, of the target that is set. Nothing is loaded.
    ///
    /// # Errors
    /// [`Error::NoTarget`], [`Error::NotAllowed`], [`Error::NoPlugin`], [`Error::Ambiguous`], [`Error::Load`] for a
    /// plugin that was named by its file and cannot be used; `INVALID_PARAMETER_VALUE` for what is no target URI.
    pub fn target(&self, target: Option<&str>) -> Result<Target, Error> {
        let uri = match target {
            Some(target) => TargetUri::parse(target)?,
            None => self.get_deployments_target()?,
        };
        if let Some(allowed) = &self.0.schemes
            && !allowed.iter().any(|scheme| scheme == uri.scheme())
        {
            return Err(Error::NotAllowed { scheme: uri.scheme().to_owned(), allowed: allowed.clone() });
        }
        let discovery = self.discover();
        let winner = discovery.choose(&uri)?.winner;
        let plugin = Chosen {
            path: winner.path.clone(),
            manifest: Arc::new(winner.manifest().expect("only what has a manifest is chosen").clone()),
            identity: winner.identity.expect("a manifest was read from a file"),
            is_trusted: winner.is_trusted,
            warnings: discovery.warnings_about(winner),
        };
        Ok(Target::new(self.clone(), uri, plugin))
    }

    /// Sets the target that is meant where none is given. Every target that a plugin serves is accepted.
    ///
    /// Source: `mlflow.deployments.set_deployments_target`, which sets it for the whole process and refuses most
    /// plugins' targets.
    ///
    /// # Errors
    /// As [`target`](Self::target); then the one that was set before stays.
    pub fn set_deployments_target(&self, target: &str) -> Result<(), Error> {
        let uri = self.target(Some(target))?.uri().clone();
        *lock(&self.0.target) = Some(uri);
        Ok(())
    }

    /// The target that is meant where none is given: the one that was set, else `MLFLOW_DEPLOYMENTS_TARGET`.
    ///
    /// Source: `mlflow.deployments.get_deployments_target`.
    ///
    /// # Errors
    /// [`Error::NoTarget`]; `INVALID_PARAMETER_VALUE` where the variable holds no target URI.
    pub fn get_deployments_target(&self) -> Result<TargetUri, Error> {
        if let Some(target) = &*lock(&self.0.target) {
            return Ok(target.clone());
        }
        match environment("MLFLOW_DEPLOYMENTS_TARGET") {
            Some(target) if !target.is_empty() => Ok(TargetUri::parse(&target.to_string_lossy())?),
            _ => Err(Error::NoTarget),
        }
    }

    /// What the target's plugin tells a user about it, as Markdown.
    ///
    /// Source: `target_help` of MLflow's plugins.
    ///
    /// # Errors
    /// As [`target`](Self::target); [`Error::Load`]; `NOT_IMPLEMENTED` where the plugin has no help.
    pub async fn target_help(&self, target: Option<&str>) -> Result<Payload, Error> {
        self.target(target)?.help().await
    }

    /// Serves a model on this machine as its target would: of the arguments, `target_uri` says which.
    ///
    /// Source: `mlflow.deployments.run_local`.
    ///
    /// # Errors
    /// As [`target`](Self::target); [`Error::Load`]; `NOT_IMPLEMENTED` where the plugin has no way to. All else comes
    /// through what is returned.
    pub async fn run_local(&self, arguments: RunLocal) -> Result<LocalDeployment, Error> {
        self.target(Some(&arguments.target_uri))?.run_local(arguments).await
    }

    /// Forgets that the first load of a plugin's file crashed or hung, and tries it again, in a process of its own.
    ///
    /// # Errors
    /// [`Error::Load`] where it cannot be loaded, or not even tried.
    pub async fn retry(&self, candidate: &Candidate) -> Result<(), Error> {
        let refused = |refusal| Error::Load { path: candidate.path.clone(), refusal };
        match &candidate.state {
            CandidateState::Refused(refusal) if !matches!(refusal, LoadError::Quarantined { .. }) => {
                return Err(refused(refusal.clone()));
            }
            CandidateState::Ignored | CandidateState::Refused(_) | CandidateState::Usable(_) => {}
        }
        let no_plugin = || refused(LoadError::NotALibrary("it is no plugin".to_owned()));
        let manifest = candidate.declared().ok_or_else(no_plugin)?;
        self.try_again(&candidate.path, manifest).await.map_err(refused)
    }

    async fn try_again(&self, path: &Path, manifest: &Manifest) -> Result<(), LoadError> {
        let library = path.canonicalize().map_err(|error| LoadError::Unreadable(error.to_string()))?;
        let recipe = match self.0.isolation.spawn_config(&library, manifest)? {
            Some(recipe) => recipe,
            None => self.0.isolation.preflight_config(&library)?,
        };
        let (host, file) = (self.clone(), library.clone());
        let standing = loading::read(move || host.0.trials.forget(&PluginFile::open(&file)?)).await?;
        let tried = loading::preflight(recipe).await;
        self.0.trials.record(&standing, &library, &tried);
        tried
    }

    /// The plugin that was chosen, loaded now unless it is already.
    pub(crate) async fn load(&self, chosen: &Arc<Chosen>) -> Result<RemotePlugin, Error> {
        let Chosen { path, manifest, identity, warnings, .. } = &**chosen;
        let cell = Arc::clone(lock(&self.0.loaded).entry(identity.place()).or_default());
        let (listener, plugin) = (Arc::clone(&self.0.listener), manifest.name.clone());
        let listener = move |call, level, event| listener(PluginEvent { plugin: plugin.clone(), call, level, event });
        let refused = |refusal| Error::Load { path: path.clone(), refusal };
        let load = async || {
            warnings.iter().for_each(|warning| listener(0, Level::Warn, Event::new(warning)));
            let served = format!("the target is served by `{}`, version {}", path.display(), manifest.version);
            listener(0, Level::Info, Event::new(served));
            let (lock, host, chosen) = (self.lock()?, self.clone(), Arc::clone(chosen));
            let admit = move || host.admit(&chosen, lock.as_ref());
            let (library, standing) = loading::read(admit).await.map_err(refused)?;
            let plugin = self.load_admitted(&library, manifest, &standing, listener).await.map_err(refused)?;
            // The system took the file by its path: it has to be the one that was looked at.
            identity.check(path).map_err(refused)?;
            Ok(plugin)
        };
        cell.get_or_try_init(load).await.cloned()
    }

    /// Whether a plugin may be loaded: gives its library's real path, and what is known of it. Reads the whole file if
    /// that is not known.
    fn admit(&self, chosen: &Chosen, lock: Option<&Lock>) -> Result<(PathBuf, LoadHistory), LoadError> {
        let opened = PluginFile::open(&chosen.path)?;
        if opened.identity != chosen.identity {
            return Err(LoadError::Changed);
        }
        if !chosen.is_trusted {
            trust::check_code(&chosen.path)?;
            dynamic_deps::check_trust(&chosen.path)?;
        }
        if let Some(lock) = lock {
            lock.check_measured(&chosen.manifest, &opened.measure()?)?;
        }
        let standing = self.0.trials.history(&opened)?;
        let library = chosen.path.canonicalize().map_err(|error| LoadError::Unreadable(error.to_string()))?;
        Ok((library, standing))
    }

    async fn load_admitted(
        &self,
        library: &Path,
        manifest: &Manifest,
        standing: &LoadHistory,
        listener: impl Fn(u64, Level, Event) + Clone + Send + Sync + 'static,
    ) -> Result<RemotePlugin, LoadError> {
        let debug = |what: &str| listener(0, Level::Debug, Event::new(what));
        if let Some(recipe) = self.0.isolation.spawn_config(library, manifest)? {
            let why = self.0.isolation.reason(manifest).map(|why| format!(", for {why}")).unwrap_or_default();
            debug(&format!("it runs in a process of its own{why}"));
            let plugin = loading::into_own_process(recipe, listener).await;
            self.0.trials.record(standing, library, &plugin);
            return plugin;
        }
        debug(match standing {
            LoadHistory::Known => "it was loaded before, and runs in this process",
            LoadHistory::New(_) => {
                "it was never loaded before, and is tried in a process of its own before it runs in this one"
            }
            LoadHistory::Disabled => "it runs in this process; first loads are not tried",
        });
        if let LoadHistory::New(_) = standing {
            let untried = |why: &str| {
                let file = library.display();
                let warning = format!("`{file}` was never loaded before, and is loaded without a trial: {why}");
                listener(0, Level::Warn, Event::new(warning));
            };
            let tried = match self.0.isolation.preflight_config(library) {
                Ok(recipe) => loading::preflight(recipe).await,
                Err(no_program) => Err(no_program),
            };
            self.0.trials.record(standing, library, &tried);
            match tried {
                // The plugin is not at fault, and is loaded as it would be by a host that tries nothing.
                Err(LoadError::NeedsIsolation { searched, .. }) => {
                    let searched: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
                    untried(&format!("`mlflow-deploy-plugin-host` is none of `{}`", searched.join("`, `")));
                }
                Err(LoadError::PluginHost(why)) => untried(&why),
                tried => tried?,
            }
        }
        let nested = self.0.isolation.instance_config(library, manifest).ok().and_then(InstanceSpawner::new);
        loading::into_this_process(library.to_owned(), nested, listener).await
    }
}

impl From<HostBuilder> for Host {
    fn from(builder: HostBuilder) -> Self {
        let HostBuilder { sources, schemes, lock_file, listener, isolation, .. } = builder;
        let state_dir = builder.state_dir;
        let trials = Preflight::new(builder.tries_first_loads.then(|| LoadStore::new(state_dir, environment)));
        let (expectations, target, loaded) = (builder.expectations, Mutex::default(), Mutex::default());
        Self(Arc::new(Shared {
            sources,
            schemes,
            lock_file,
            listener,
            isolation,
            trials,
            expectations,
            target,
            loaded,
        }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
