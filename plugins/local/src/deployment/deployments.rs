//! Creates, updates, deletes and finds deployments. A model is copied, loaded and tested before it is deployed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::args::{CreateDeployment, DeleteDeployment, UpdateDeployment};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking};
use serde_json::{Map, Value};

use super::loaded_model::{LoadedModel, Runner};
use super::model_cache::ModelCache;
use super::source::{LocatedModel, Source, Sources};
use crate::config::{Config, DeploymentConfig, Engine, EngineChoice, ModelCopy};
use crate::engine::LibrarySearch;
use crate::engine::python::PythonSearch;
use crate::model::Model;
use crate::store::{Deployment, Folder, Rebuilt, State, StateDirectory, check_name, copy, now, taken};

/// The maximum number of attempts to load a deployment's model while other processes keep updating the deployment.
const MAX_ATTEMPTS: usize = 100;

/// The deployments in a state directory, and the models that this client has loaded.
pub(crate) struct Deployments {
    directory: Arc<StateDirectory>,
    library_search: LibrarySearch,
    python_search: PythonSearch,
    sources: Sources,
    cache: ModelCache,
}

impl Deployments {
    pub(crate) fn new(config: Config) -> Self {
        let Config { state_dir, library_search, python_search, tracking, variable, copy: _ } = config;
        let sources = Sources::new(tracking, variable);
        let directory = Arc::new(StateDirectory::new(state_dir));
        Self { directory, library_search, python_search, sources, cache: ModelCache::default() }
    }

    /// Returns the state directory that contains the deployments.
    pub(crate) fn directory(&self) -> &Arc<StateDirectory> {
        &self.directory
    }

    /// Creates a deployment and returns it. Copies, loads and tests the model first.
    pub(crate) async fn create(self: &Arc<Self>, request: CreateDeployment) -> Result<Deployment> {
        check_name("a deployment", &request.name)?;
        let config: DeploymentConfig = request.config.parse()?;
        config.check()?;
        let check_free = move |state: &State, name: &str, endpoint: Option<&str>| {
            endpoint.map(|endpoint| state.endpoint(endpoint)).transpose()?;
            match state.deployments.contains_key(name) {
                true => Err(taken("deployment", name)),
                false => Ok(()),
            }
        };
        let (name, endpoint) = (request.name, request.endpoint);
        check_free(&*self.directory.state()?, &name, endpoint.as_deref())?;
        let PreparedModel { deployed, model_uri, model_version } =
            self.prepare(&request.model_uri, request.flavor.as_deref(), &config).await?;
        let now = now();
        let (flavor, python) = (deployed.flavor().to_owned(), deployed.python().map(Path::to_owned));
        let deployment = Deployment {
            revision: revision(),
            folder: deployed.folder().id().to_owned(),
            model_uri,
            model_version,
            flavor,
            config,
            python,
            creation_timestamp: now,
            last_updated_timestamp: now,
        };
        self.commit(deployed, move |state| {
            check_free(state, &name, endpoint.as_deref())?;
            if let Some(endpoint) = endpoint {
                let endpoint = state.endpoint_mut(&endpoint)?;
                // The first deployment gets all requests. Later ones get none until the traffic is updated.
                let is_first = endpoint.traffic.values().all(|weight| *weight == 0);
                endpoint.traffic.insert(name.clone(), if is_first { 100 } else { 0 });
                endpoint.last_updated_timestamp = now;
            }
            state.deployments.insert(name, deployment.clone());
            Ok(deployment)
        })
        .await
    }

    /// Updates the model of a deployment, its config, or both. Running predictions finish with the previous model and
    /// config.
    pub(crate) async fn update(self: &Arc<Self>, request: UpdateDeployment) -> Result<Deployment> {
        let (name, endpoint) = (request.name, request.endpoint);
        let before = self.directory.state()?.deployment(&name, endpoint.as_deref())?.clone();
        if request.model_uri.is_none() && request.flavor.is_some() {
            return Err(Error::invalid_parameter("a flavor is specified without a model URI: specify both or neither"));
        }
        let changes: Map<String, Value> = request.config.parse()?;
        if request.model_uri.is_none() && changes.is_empty() {
            return Err(Error::invalid_parameter("nothing to update: specify a model URI, a config, or both"));
        }
        let config = before.config.merge(changes)?;
        config.check()?;
        let PreparedModel { deployed, model_uri, model_version } = match &request.model_uri {
            Some(model_uri) => self.prepare(model_uri, request.flavor.as_deref(), &config).await?,
            None => {
                // If the engine changes, the flavor is chosen again.
                let flavor = Some(before.flavor.as_str()).filter(|_| config.is_same_engine(&before.config));
                let loaded = self.load(&before.folder, flavor, &config, before.python.as_deref()).await?;
                let Some(deployed) = loaded else {
                    let state = self.directory.state()?;
                    let is_named = state.deployments.get(&name).is_some_and(|each| each.folder == before.folder);
                    return Err(if is_named { removed(&name) } else { replaced(&name) });
                };
                deployed.try_example().await?;
                PreparedModel {
                    deployed,
                    model_uri: before.model_uri.clone(),
                    model_version: before.model_version.clone(),
                }
            }
        };
        let folder = deployed.folder().id().to_owned();
        let (flavor, config) = (deployed.flavor().to_owned(), deployed.config().clone());
        let python = deployed.python().map(Path::to_owned);
        let is_same_model = request.model_uri.is_none();
        self.commit(deployed, move |state| {
            state.deployment(&name, endpoint.as_deref())?;
            let deployment = state.deployments.get_mut(&name).expect("it was found above");
            if is_same_model && deployment.folder != folder {
                return Err(replaced(&name));
            }
            *deployment = Deployment {
                revision: revision(),
                folder,
                model_uri,
                model_version,
                flavor,
                config,
                python,
                creation_timestamp: deployment.creation_timestamp,
                last_updated_timestamp: now(),
            };
            Ok(deployment.clone())
        })
        .await
    }

    /// Deletes a deployment. Succeeds if the deployment does not exist, even if the endpoint does not exist either.
    /// Fails if the name is invalid, or if the deployment exists but does not belong to the given endpoint.
    pub(crate) async fn delete(self: &Arc<Self>, request: DeleteDeployment) -> Result<()> {
        check_name("a deployment", &request.name)?;
        let state = self.directory.state()?;
        if !state.deployments.contains_key(&request.name) {
            return Ok(());
        }
        state.deployment(&request.name, request.endpoint.as_deref())?;
        self.change(move |state| {
            state.deployments.remove(&request.name);
            for endpoint in state.endpoints.values_mut() {
                if endpoint.traffic.remove(&request.name).is_some() {
                    endpoint.last_updated_timestamp = now();
                }
            }
            Ok(())
        })
        .await
    }

    /// Returns the model of the deployment `name`. Loads the model if this client has not loaded it yet. Fails if
    /// `endpoint` is given and the deployment does not belong to it.
    pub(crate) async fn model(self: &Arc<Self>, name: &str, endpoint: Option<&str>) -> Result<Arc<LoadedModel>> {
        for _ in 0..MAX_ATTEMPTS {
            let state = self.directory.state()?;
            self.cache.retain_if_changed(&state);
            let deployment = state.deployment(name, endpoint)?;
            let load = async {
                // Another prediction may have read a later state in the meantime.
                self.cache.retain(&state);
                let (flavor, python) = (Some(deployment.flavor.as_str()), deployment.python.as_deref());
                let loaded = self.load(&deployment.folder, flavor, &deployment.config, python).await?;
                loaded.ok_or_else(|| replaced(name))
            };
            match self.cache.get(&deployment.revision, load).await {
                Err(error) if error == replaced(name) && *self.directory.state()? != *state => {}
                Err(error) if error == replaced(name) => return Err(removed(name)),
                answer => return answer,
            }
        }
        Err(replaced(name))
    }

    /// Rebuilds a lost `state.json` from the copied models in the state directory.
    pub(crate) async fn rebuild(&self) -> Result<Rebuilt> {
        let flavor = |model: &Path| {
            let model = Model::read(model).ok()?;
            DeploymentConfig::default().choose(&model, None).ok().map(|choice| choice.flavor)
        };
        self.directory.rebuild(flavor).await
    }

    /// Calls `change` with the state on a blocking thread, and saves the changed state. Then drops loaded models that
    /// are no longer deployed.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let answer = self.directory.change(change).await?;
        self.drop_unused_models();
        Ok(answer)
    }

    /// Drops loaded models that are no longer deployed. Ignores a failure to read the state, because the preceding
    /// change succeeded. The next successful read drops the models.
    fn drop_unused_models(&self) {
        if let Ok(state) = self.directory.state() {
            self.cache.retain(&state);
        }
    }

    /// Downloads or copies a model into the state directory, loads it, and predicts its input example.
    async fn prepare(
        self: &Arc<Self>,
        model_uri: &str,
        flavor: Option<&str>,
        config: &DeploymentConfig,
    ) -> Result<PreparedModel> {
        let fetched = self.fetch(model_uri, flavor, config).await?;
        self.start(fetched).await
    }

    /// Downloads or copies a model into the state directory, and selects the engine that runs it. Dropping the result
    /// removes the copy, unless [`Folder::keep`] was called.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        model_uri: &str,
        flavor: Option<&str>,
        config: &DeploymentConfig,
    ) -> Result<FetchedModel> {
        let source = Source::parse(model_uri)?;
        let folder = self.directory.new_folder().await?;
        let LocatedModel { path, is_in_place, version } = self.sources.locate(&source, &folder.model()).await?;
        let runner = self.runner(path.clone(), flavor, config, None).await?;
        let cancel = CancelFlag::default();
        let is_cancelled = Arc::clone(&cancel.0);
        let folder = blocking(move || {
            if !is_in_place {
                copy(&path, &folder.model(), &is_cancelled)?;
            }
            folder.sync()?;
            Ok(folder)
        })
        .await?;
        Ok(FetchedModel { folder, runner, model_uri: source.redacted, model_version: version })
    }

    /// Loads a model that [`Self::fetch`] returned, and predicts its input example.
    pub(crate) async fn start(self: &Arc<Self>, fetched: FetchedModel) -> Result<PreparedModel> {
        let FetchedModel { folder, runner, model_uri, model_version } = fetched;
        let deployed = self.run(folder, runner).await?;
        deployed.try_example().await?;
        Ok(PreparedModel { deployed, model_uri, model_version })
    }

    /// Loads a copied model, and predicts its input example. Another process has copied the model and holds the lock of
    /// the copy.
    pub(crate) async fn load_copy(self: &Arc<Self>, copy: &ModelCopy) -> Result<Arc<LoadedModel>> {
        let loaded = self.load(&copy.folder, Some(&copy.flavor), &copy.config, None).await?;
        let deployed =
            loaded.ok_or_else(|| Error::internal("the copy of the model was removed from the state directory"))?;
        deployed.try_example().await?;
        Ok(deployed)
    }

    /// Loads the copied model in `folder`. Returns `None` if the folder was removed.
    async fn load(
        self: &Arc<Self>,
        folder: &str,
        flavor: Option<&str>,
        config: &DeploymentConfig,
        python: Option<&Path>,
    ) -> Result<Option<Arc<LoadedModel>>> {
        let Some(folder) = self.directory.folder(folder).await? else { return Ok(None) };
        let runner = self.runner(folder.model(), flavor, config, python).await?;
        self.run(folder, runner).await.map(Some)
    }

    /// Selects the engine and the Python interpreter that run a model. `before` is the interpreter that the deployment
    /// has used so far.
    async fn runner(
        &self,
        model: PathBuf,
        flavor: Option<&str>,
        config: &DeploymentConfig,
        before: Option<&Path>,
    ) -> Result<Runner> {
        let model = blocking(move || Model::read(&model)).await?;
        let EngineChoice { engine, flavor, config, dropped } = config.choose(&model, flavor)?;
        if !dropped.is_empty() {
            let (dropped, engine) = (dropped.join("`, `"), engine.name());
            call::warn(format!(
                "the model is run by the engine `{engine}`, which does not use `{dropped}` of the stored config: dropped"
            ));
        }
        let python = match engine {
            Engine::Onnx => None,
            Engine::Python => {
                let python = self.python_search.find(&flavor, config.engine.python.as_deref(), before).await?;
                let (path, mlflow) = (python.path().display(), python.mlflow());
                call::log(Level::Info, format!("the flavor `{flavor}` is run by {path} with MLflow{mlflow}"));
                Some(python)
            }
        };
        Ok(Runner { flavor, config, python })
    }

    /// Loads the copied model in `folder` into ONNX Runtime, or starts Python servers for it in the background.
    async fn run(self: &Arc<Self>, folder: Folder, runner: Runner) -> Result<Arc<LoadedModel>> {
        let this = Arc::clone(self);
        blocking(move || LoadedModel::load(folder, runner, &this.library_search).map(Arc::new)).await
    }

    /// Saves a deployment of the loaded model: calls `change` with the state, writes the state, and keeps the copied
    /// model.
    async fn commit(
        self: &Arc<Self>,
        deployed: Arc<LoadedModel>,
        change: impl FnOnce(&mut State) -> Result<Deployment> + Send + 'static,
    ) -> Result<Deployment> {
        let kept = Arc::clone(&deployed);
        let deployment = self.directory.deploy(change, move || kept.folder().keep()).await?;
        self.cache.insert(deployment.revision.clone(), deployed);
        self.drop_unused_models();
        Ok(deployment)
    }
}

/// A model that was copied into the state directory and is not loaded yet.
pub(crate) struct FetchedModel {
    pub(crate) folder: Folder,
    pub(crate) runner: Runner,
    model_uri: String,
    model_version: Option<String>,
}

/// A loaded model that is ready to be deployed. Dropping this value removes the copied model, unless [`Folder::keep`]
/// was called.
pub(crate) struct PreparedModel {
    pub(crate) deployed: Arc<LoadedModel>,
    /// The URI of the model, without a password.
    model_uri: String,
    /// The version of the registered model; `None` if the URI does not name a registered model.
    model_version: Option<String>,
}

/// A flag that is set when this value is dropped. The thread that copies a model stops when the flag is set.
#[derive(Default)]
struct CancelFlag(Arc<AtomicBool>);

impl Drop for CancelFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn removed(name: &str) -> Error {
    Error::internal(format!(
        "the copy of the model of `{name}` was removed from the state directory: deploy it again, or update it with \
         a model URI"
    ))
}

fn replaced(name: &str) -> Error {
    Error::new(
        ErrorCode::new("RESOURCE_CONFLICT"),
        format!("the deployment `{name}` was changed by another request at the same time: try again"),
    )
    .retryable()
}

fn revision() -> String {
    format!("{:016x}", fastrand::u64(..))
}
