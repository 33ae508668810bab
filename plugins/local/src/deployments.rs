//! Deployments: made, replaced, taken down, and found. A model is copied and loaded before anybody sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::args::{CreateDeployment, DeleteDeployment, UpdateDeployment};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::deployed::{Deployed, FLAVOR, check_flavor};
use crate::engine::{Places, Settings};
use crate::loaded::Loaded;
use crate::source::{Found, Source, Sources};
use crate::store::{Deployment, State, StateDirectory, check_name, copy, now};

/// How often a deployment is looked up again, where it is replaced just then.
const ATTEMPTS: usize = 100;

/// What is deployed in a directory, and the models that are loaded of it.
pub(crate) struct Deployments {
    directory: StateDirectory,
    places: Places,
    sources: Sources,
    loaded: Loaded,
}

impl Deployments {
    pub(crate) fn new(config: Config) -> Self {
        let Config { state_dir, places, sources } = config;
        Self { directory: StateDirectory::new(state_dir), places, sources, loaded: Loaded::default() }
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &StateDirectory {
        &self.directory
    }

    /// Deploys a model; gives the state with it.
    pub(crate) async fn create(self: &Arc<Self>, request: CreateDeployment) -> Result<Deployment> {
        check_name("a deployment", &request.name)?;
        let config: Settings = request.config.parse()?;
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
        let deployment = Deployment {
            revision: revision(),
            folder: deployed.folder().id().to_owned(),
            model_uri,
            model_version,
            flavor: FLAVOR.to_owned(),
            config,
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
                let loaded = self.load(before.folder.clone(), config.clone()).await?;
                let deployed = loaded.ok_or_else(|| replaced(&name))?;
                deployed.try_example().await?;
                Prepared { deployed, model_uri: before.model_uri.clone(), model_version: before.model_version.clone() }
            }
        };
        let folder = deployed.folder().id().to_owned();
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
                flavor: FLAVOR.to_owned(),
                config,
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
    pub(crate) async fn model(self: &Arc<Self>, name: &str, endpoint: Option<&str>) -> Result<Arc<Deployed>> {
        for _ in 0..ATTEMPTS {
            let state = self.directory.state()?;
            let deployment = state.deployment(name, endpoint)?;
            let load = async {
                self.loaded.forget_all_but(&state);
                let deployed = self.load(deployment.folder.clone(), deployment.config.clone()).await?;
                deployed.ok_or_else(|| replaced(name))
            };
            match self.loaded.get(&deployment.revision, load).await {
                Err(error) if error == replaced(name) && *self.directory.state()? != *state => {}
                Err(error) if error == replaced(name) => {
                    return Err(Error::internal(format!(
                        "the copy of the model of `{name}` was removed from the state directory: deploy it again"
                    )));
                }
                answer => return answer,
            }
        }
        Err(replaced(name))
    }

    /// Changes the state, off the plugin's own thread.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = Arc::clone(self);
        let answer = blocking(move || this.directory.change(change)).await?;
        self.loaded.forget_all_but(&*self.directory.state()?);
        Ok(answer)
    }

    /// Fetches or copies a model, loads it, and has it predict its input example. The copy is removed when it is dropped,
    /// unless it is kept.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        model_uri: &str,
        flavor: Option<&str>,
        config: &Settings,
    ) -> Result<Prepared> {
        let source = Source::parse(model_uri)?;
        let this = Arc::clone(self);
        let folder = blocking(move || this.directory.new_folder()).await?;
        let Found { path, is_in_place, version } = self.sources.find(&source, &folder.model()).await?;
        let (flavor, config) = (flavor.map(str::to_owned), config.clone());
        let this = Arc::clone(self);
        let given_up = GivenUp::default();
        let is_given_up = Arc::clone(&given_up.0);
        let deployed = blocking(move || {
            check_flavor(&path, flavor.as_deref())?;
            if !is_in_place {
                copy(&path, &folder.model(), &is_given_up)?;
            }
            folder.sync()?;
            Deployed::load(folder, &config, &this.places).map(Arc::new)
        })
        .await?;
        deployed.try_example().await?;
        Ok(Prepared { deployed, model_uri: source.shown, model_version: version })
    }

    /// Loads the model of a folder; `None` where the folder is gone.
    async fn load(self: &Arc<Self>, folder: String, config: Settings) -> Result<Option<Arc<Deployed>>> {
        let this = Arc::clone(self);
        blocking(move || {
            let folder = this.directory.folder(&folder)?;
            folder.map(|folder| Deployed::load(folder, &config, &this.places).map(Arc::new)).transpose()
        })
        .await
    }

    /// Makes a prepared model what is deployed.
    async fn commit(
        self: &Arc<Self>,
        deployed: Arc<Deployed>,
        change: impl FnOnce(&mut State) -> Result<Deployment> + Send + 'static,
    ) -> Result<Deployment> {
        let (this, kept) = (Arc::clone(self), Arc::clone(&deployed));
        let deployment = blocking(move || {
            let deployment = this.directory.change(change)?;
            kept.folder().keep();
            Ok(deployment)
        })
        .await?;
        self.loaded.insert(deployment.revision.clone(), deployed);
        self.loaded.forget_all_but(&*self.directory.state()?);
        Ok(deployment)
    }
}

/// A model that can be deployed. Its copy is gone when it is dropped, unless it is kept.
pub(crate) struct Prepared {
    pub(crate) deployed: Arc<Deployed>,
    /// Where it came from, as it may be kept.
    model_uri: String,
    /// The version of the registered model that it is.
    model_version: Option<String>,
}

/// Says, when it is dropped, that the caller has given up.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
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
fn merged(before: &Settings, changes: Map<String, Value>) -> Result<Settings> {
    let wrong = |error: serde_json::Error| Error::invalid_parameter(format!("failed to read the config: {error}"));
    let mut config: Map<String, Value> =
        serde_json::to_value(before).and_then(serde_json::from_value).map_err(wrong)?;
    for (key, value) in changes {
        config.insert(key, value);
    }
    serde_json::from_value(Value::Object(config)).map_err(wrong)
}
