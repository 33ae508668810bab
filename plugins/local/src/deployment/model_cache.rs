//! The loaded models of a client. A model is loaded once, and dropped when its deployment changes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use mlflow_deploy_plugin_api::{Result, sync};
use tokio::sync::OnceCell;

use super::loaded_model::LoadedModel;
use crate::store::State;

/// The loaded models. The key is the revision of the deployment.
#[derive(Default)]
pub(crate) struct ModelCache {
    models: Mutex<HashMap<String, Arc<OnceCell<Arc<LoadedModel>>>>>,
    /// The state at the last call of [`Self::retain`].
    state: Mutex<Arc<State>>,
}

impl ModelCache {
    /// Returns the model of a revision. The first call loads the model; concurrent calls wait until it is loaded.
    ///
    /// # Errors
    /// Fails if `load` fails. The next call then loads the model again.
    pub(crate) async fn get(
        &self,
        revision: &str,
        load: impl Future<Output = Result<Arc<LoadedModel>>>,
    ) -> Result<Arc<LoadedModel>> {
        let cell = Arc::clone(sync::lock(&self.models).entry(revision.to_owned()).or_default());
        cell.get_or_try_init(|| load).await.cloned()
    }

    /// Adds a loaded model.
    pub(crate) fn insert(&self, revision: String, deployed: Arc<LoadedModel>) {
        let cell = Arc::new(OnceCell::new_with(Some(deployed)));
        sync::lock(&self.models).insert(revision, cell);
    }

    /// Drops models that are no longer deployed. Running predictions keep their model until they end.
    pub(crate) fn retain(&self, state: &Arc<State>) {
        *sync::lock(&self.state) = Arc::clone(state);
        let deployed: HashSet<&str> = state.deployments.values().map(|each| each.revision.as_str()).collect();
        sync::lock(&self.models).retain(|revision, _| deployed.contains(revision.as_str()));
    }

    /// Does the same as [`Self::retain`], but only if the state has been read again since. Cheap enough for every
    /// prediction.
    pub(crate) fn retain_if_changed(&self, state: &Arc<State>) {
        let is_known = Arc::ptr_eq(&sync::lock(&self.state), state);
        if !is_known {
            self.retain(state);
        }
    }
}
