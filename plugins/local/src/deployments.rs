//! Deployments: made, replaced, taken down, and found. A model is copied and loaded before anybody sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::args::{CreateDeployment, DeleteDeployment, UpdateDeployment};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{self as api, Error, ErrorCode, Result, blocking};
use serde_json::{Map, Value};

use crate::config::{Config, ModelCopy};
use crate::engine::LibrarySearch;
use crate::engine::python::PythonSearch;
use crate::engine_config::{Choice, DeploymentConfig, Engine};
use crate::loaded::Loaded;
use crate::loaded_model::{LoadedModel, Runner};
use crate::model::Model;
use crate::source::{Found, Source, Sources};
use crate::store::{Deployment, Folder, Rebuilt, State, StateDirectory, check_name, copy, now};

/// How often a deployment is looked up again, where it is replaced just then.
const ATTEMPTS: usize = 100;

/// What is deployed in a directory, and the models that are loaded of it.
pub(crate) struct Deployments {
    directory: Arc<StateDirectory>,
    library_search: LibrarySearch,
    python_search: PythonSearch,
    sources: Sources,
    loaded: Loaded,
}

impl Deployments {
    pub(crate) fn new(config: Config) -> Self {
        let Config { state_dir, library_search, python_search, sources, copy: _ } = config;
        let directory = Arc::new(StateDirectory::new(state_dir));
        Self { directory, library_search, python_search, sources, loaded: Loaded::default() }
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Arc<StateDirectory> {
        &self.directory
    }

    /// Deploys a model; gives the state with it.
    pub(crate) async fn create(self: &Arc<Self>, request: CreateDeployment) -> Result<Deployment> {
        check_name("a deployment", &request.name)?;
        let config: DeploymentConfig = request.config.parse()?;
        config.check()?;
        let free = move |state: &State, name: &str, endpoint: Option<&str>| {
            endpoint.map(|endpoint| state.endpoint(endpoint)).transpose()?;
            match state.deployments.contains_key(name) {
                true => Err(taken("deployment", name)),
                false => Ok(()),
            }
        };
        let (name, endpoint) = (request.name, request.endpoint);
        free(&*self.directory.state()?, &name, endpoint.as_deref())?;
        let Prepared { deployed, model_uri, model_version } =
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
            free(state, &name, endpoint.as_deref())?;
            if let Some(endpoint) = endpoint {
                let endpoint = state.endpoint_mut(&endpoint)?;
                // The first one gets all requests; later ones none, until the traffic is split.
                let is_first = endpoint.traffic.values().all(|weight| *weight == 0);
                endpoint.traffic.insert(name.clone(), if is_first { 100 } else { 0 });
                endpoint.last_updated_timestamp = now;
            }
            state.deployments.insert(name, deployment.clone());
            Ok(deployment)
        })
        .await
    }

    /// Replaces a deployment's model, its config, or both; predictions go on, each on the old one or the new.
    pub(crate) async fn update(self: &Arc<Self>, request: UpdateDeployment) -> Result<Deployment> {
        let (name, endpoint) = (request.name, request.endpoint);
        let before = self.directory.state()?.deployment(&name, endpoint.as_deref())?.clone();
        if request.model_uri.is_none() && request.flavor.is_some() {
            return Err(Error::invalid_parameter("a flavor was given without a model URI: give both, or neither"));
        }
        let changes: Map<String, Value> = request.config.parse()?;
        if request.model_uri.is_none() && changes.is_empty() {
            return Err(Error::invalid_parameter(
                "nothing to change was given: expected a model URI, a config, or both",
            ));
        }
        let config = merged(&before.config, changes)?;
        config.check()?;
        let Prepared { deployed, model_uri, model_version } = match &request.model_uri {
            Some(model_uri) => self.prepare(model_uri, request.flavor.as_deref(), &config).await?,
            None => {
                // Another engine means another flavor.
                let flavor = Some(before.flavor.as_str()).filter(|_| config.is_same_engine(&before.config));
                let loaded = self.load(&before.folder, flavor, &config, before.python.as_deref()).await?;
                let Some(deployed) = loaded else {
                    let now = self.directory.state()?;
                    let is_named = now.deployments.get(&name).is_some_and(|now| now.folder == before.folder);
                    return Err(if is_named { removed(&name) } else { replaced(&name) });
                };
                deployed.try_example().await?;
                Prepared { deployed, model_uri: before.model_uri.clone(), model_version: before.model_version.clone() }
            }
        };
        let folder = deployed.folder().id().to_owned();
        let (flavor, python) = (deployed.flavor().to_owned(), deployed.python().map(Path::to_owned));
        let is_same_model = request.model_uri.is_none();
        self.commit(deployed, move |state| {
            state.deployment(&name, endpoint.as_deref())?;
            let deployment = state.deployments.get_mut(&name).expect("it was found");
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

    /// Takes a deployment down; one that is gone already is no error. What is no name is one, and an endpoint that there
    /// is not: it was meant to be another.
    pub(crate) async fn delete(self: &Arc<Self>, request: DeleteDeployment) -> Result<()> {
        check_name("a deployment", &request.name)?;
        let state = self.directory.state()?;
        request.endpoint.as_deref().map(|endpoint| state.endpoint(endpoint)).transpose()?;
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

    /// The model of a deployment, loaded now where it is not yet.
    pub(crate) async fn model(self: &Arc<Self>, name: &str, endpoint: Option<&str>) -> Result<Arc<LoadedModel>> {
        for _ in 0..ATTEMPTS {
            let state = self.directory.state()?;
            self.loaded.forget_where_changed(&state);
            let deployment = state.deployment(name, endpoint)?;
            let load = async {
                // Another prediction may have seen a later state since.
                self.loaded.forget_all_but(&state);
                let (flavor, python) = (Some(deployment.flavor.as_str()), deployment.python.as_deref());
                let loaded = self.load(&deployment.folder, flavor, &deployment.config, python).await?;
                loaded.ok_or_else(|| replaced(name))
            };
            match self.loaded.get(&deployment.revision, load).await {
                Err(error) if error == replaced(name) && *self.directory.state()? != *state => {}
                Err(error) if error == replaced(name) => return Err(removed(name)),
                answer => return answer,
            }
        }
        Err(replaced(name))
    }

    /// Makes what is deployed anew from the copies of models, where it is lost.
    pub(crate) async fn rebuild(&self) -> Result<Rebuilt> {
        let flavor = |model: &Path| {
            let model = Model::read(model).ok()?;
            DeploymentConfig::default().choose(&model, None).ok().map(|choice| choice.flavor)
        };
        self.directory.rebuild(flavor).await
    }

    /// Changes the state, off the plugin's own thread.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let answer = self.directory.change(change).await?;
        self.forget();
        Ok(answer)
    }

    /// Lets go of models that are not deployed any more, after a change that was made: where the file cannot be read just
    /// then, it is still no failure, and the next who reads it lets go.
    fn forget(&self) {
        if let Ok(state) = self.directory.state() {
            self.loaded.forget_all_but(&state);
        }
    }

    /// Fetches or copies a model, loads it, and has it predict its input example.
    async fn prepare(
        self: &Arc<Self>,
        model_uri: &str,
        flavor: Option<&str>,
        config: &DeploymentConfig,
    ) -> Result<Prepared> {
        let fetched = self.fetch(model_uri, flavor, config).await?;
        self.start(fetched, config).await
    }

    /// Fetches or copies a model, and finds what is to run it. The copy is removed when it is dropped, unless it is kept.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        model_uri: &str,
        flavor: Option<&str>,
        config: &DeploymentConfig,
    ) -> Result<Fetched> {
        let source = Source::parse(model_uri)?;
        let folder = self.directory.new_folder().await?;
        let Found { path, is_in_place, version } = self.sources.find(&source, &folder.model()).await?;
        let runner = self.runner(path.clone(), flavor, config, None).await?;
        let copied = CancelFlag::default();
        let is_given_up = Arc::clone(&copied.0);
        let folder = blocking(move || {
            if !is_in_place {
                copy(&path, &folder.model(), &is_given_up)?;
            }
            folder.sync()?;
            Ok(folder)
        })
        .await?;
        Ok(Fetched { folder, runner, model_uri: source.shown, model_version: version })
    }

    /// Loads a model that was fetched, and has it predict its input example.
    pub(crate) async fn start(self: &Arc<Self>, fetched: Fetched, config: &DeploymentConfig) -> Result<Prepared> {
        let Fetched { folder, runner, model_uri, model_version } = fetched;
        let deployed = self.run(folder, runner, config).await?;
        deployed.try_example().await?;
        Ok(Prepared { deployed, model_uri, model_version })
    }

    /// Loads a copy that another process has fetched, and holds, and has it predict its input example.
    pub(crate) async fn load_copy(self: &Arc<Self>, copy: &ModelCopy) -> Result<Arc<LoadedModel>> {
        let loaded = self.load(&copy.folder, Some(&copy.flavor), &copy.config, None).await?;
        let deployed =
            loaded.ok_or_else(|| Error::internal("the copy of the model was removed from the state directory"))?;
        deployed.try_example().await?;
        Ok(deployed)
    }

    /// Loads the model of a folder; `None` where the folder is gone.
    async fn load(
        self: &Arc<Self>,
        folder: &str,
        flavor: Option<&str>,
        config: &DeploymentConfig,
        python: Option<&Path>,
    ) -> Result<Option<Arc<LoadedModel>>> {
        let Some(folder) = self.directory.folder(folder).await? else { return Ok(None) };
        let runner = self.runner(folder.model(), flavor, config, python).await?;
        self.run(folder, runner, config).await.map(Some)
    }

    /// What is to run the model of a folder. `before` is the Python that ran it until now.
    async fn runner(
        &self,
        model: PathBuf,
        flavor: Option<&str>,
        config: &DeploymentConfig,
        before: Option<&Path>,
    ) -> Result<Runner> {
        let model = blocking(move || Model::read(&model)).await?;
        let Choice { engine, flavor } = config.choose(&model, flavor)?;
        let python = match engine {
            Engine::Onnx => None,
            Engine::Python => {
                let python = self.python_search.find(&flavor, config.engine.python.as_deref(), before).await?;
                let (path, mlflow) = (python.path().display(), python.mlflow());
                call::log(Level::Info, format!("the flavor `{flavor}` is run by {path} with MLflow{mlflow}"));
                Some(python)
            }
        };
        Ok(Runner { flavor, python })
    }

    /// Loads the model of a folder, or begins to.
    async fn run(
        self: &Arc<Self>,
        folder: Folder,
        runner: Runner,
        config: &DeploymentConfig,
    ) -> Result<Arc<LoadedModel>> {
        let (this, config) = (Arc::clone(self), config.clone());
        blocking(move || LoadedModel::load(folder, runner, &config, &this.library_search).map(Arc::new)).await
    }

    /// Makes a prepared model what is deployed.
    async fn commit(
        self: &Arc<Self>,
        deployed: Arc<LoadedModel>,
        change: impl FnOnce(&mut State) -> Result<Deployment> + Send + 'static,
    ) -> Result<Deployment> {
        let kept = Arc::clone(&deployed);
        let deployment = self.directory.deploy(change, move || kept.folder().keep()).await?;
        self.loaded.insert(deployment.revision.clone(), deployed);
        self.forget();
        Ok(deployment)
    }
}

/// A model that was fetched: its copy, and what is to run it.
pub(crate) struct Fetched {
    pub(crate) folder: Folder,
    pub(crate) runner: Runner,
    model_uri: String,
    model_version: Option<String>,
}

/// A model that can be deployed. Its copy is gone when it is dropped, unless it is kept.
pub(crate) struct Prepared {
    pub(crate) deployed: Arc<LoadedModel>,
    /// Where it came from, as it may be kept.
    model_uri: String,
    /// The version of the registered model that it is.
    model_version: Option<String>,
}

/// Says, when it is dropped, that the caller has given up.
#[derive(Default)]
struct CancelFlag(Arc<AtomicBool>);

impl Drop for CancelFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The error where a name has been given already.
pub(crate) fn taken(what: &str, name: &str) -> Error {
    Error::new(
        ErrorCode::RESOURCE_ALREADY_EXISTS,
        format!("the {what} `{name}` exists already: update it, or delete it first"),
    )
}

fn removed(name: &str) -> Error {
    Error::internal(format!(
        "the copy of the model of `{name}` was removed from the state directory: deploy it again, or update it with a model URI"
    ))
}

fn replaced(name: &str) -> Error {
    Error::new(
        ErrorCode::new("RESOURCE_CONFLICT"),
        format!("the deployment `{name}` was changed by somebody else at the same time: try again"),
    )
    .retryable()
}

fn revision() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// A config with some of its keys changed; `null` takes a key out.
fn merged(before: &DeploymentConfig, changes: Map<String, Value>) -> Result<DeploymentConfig> {
    let mut config: Map<String, Value> = api::Config::new(before)?.parse()?;
    config.extend(changes);
    api::Config::new(&config)?.parse()
}
