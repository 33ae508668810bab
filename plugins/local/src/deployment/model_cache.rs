//! Caches the models that a client has loaded. A model is loaded once. It is dropped when its deployment is updated or
//! deleted.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use mlflow_deploy_plugin_api::{Result, sync};
use tokio::sync::OnceCell;

use super::loaded_model::LoadedModel;
use crate::store::State;

/// The models that a client has loaded. The key of a model is the `revision` of its deployment.
#[derive(Default)]
pub(crate) struct ModelCache {
    models: Mutex<HashMap<String, Arc<OnceCell<Arc<LoadedModel>>>>>,
    /// The state that the last call of [`Self::retain`] received.
    state: Mutex<Arc<State>>,
}

impl ModelCache {
    /// Returns the model of a deployment with the given revision. The first call loads the model. Concurrent calls wait
    /// until the model is loaded.
    ///
    /// # Errors
    /// Fails if `load` fails. The next call then tries to load the model again.
    pub(crate) async fn get(
        &self,
        revision: &str,
        load: impl Future<Output = Result<Arc<LoadedModel>>>,
    ) -> Result<Arc<LoadedModel>> {
        let cell = Arc::clone(sync::lock(&self.models).entry(revision.to_owned()).or_default());
        cell.get_or_try_init(|| load).await.cloned()
    }

    /// Adds a loaded model for the deployment with the given revision.
    pub(crate) fn insert(&self, revision: String, deployed: Arc<LoadedModel>) {
        let cell = Arc::new(OnceCell::new_with(Some(deployed)));
        sync::lock(&self.models).insert(revision, cell);
    }

    /// Drops models that are not deployed in `state`. A running prediction keeps its model until the prediction ends.
    pub(crate) fn retain(&self, state: &Arc<State>) {
        *sync::lock(&self.state) = Arc::clone(state);
        let deployed: HashSet<&str> = state.deployments.values().map(|each| each.revision.as_str()).collect();
        sync::lock(&self.models).retain(|revision, _| deployed.contains(revision.as_str()));
    }

    /// Calls [`Self::retain`], unless `state` is the value that the last call received. The comparison is cheap enough
    /// for every prediction.
    pub(crate) fn retain_if_changed(&self, state: &Arc<State>) {
        let is_known = Arc::ptr_eq(&sync::lock(&self.state), state);
        if !is_known {
            self.retain(state);
        }
    }
}
