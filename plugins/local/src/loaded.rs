//! The models that a client has loaded: each once, and no longer than its deployment is what it was.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mlflow_deploy_plugin_api::Result;
use tokio::sync::OnceCell;

use crate::loaded_model::LoadedModel;
use crate::store::State;

/// Models by the revision of their deployments.
#[derive(Default)]
pub(crate) struct Loaded {
    models: Mutex<HashMap<String, Arc<OnceCell<Arc<LoadedModel>>>>>,
    /// What was deployed when models were last let go of.
    state: Mutex<Arc<State>>,
}

impl Loaded {
    /// The model of a revision; the first who asks loads it, and the others wait.
    ///
    /// # Errors
    /// What `load` answers; the next who asks tries again.
    pub(crate) async fn get(
        &self,
        revision: &str,
        load: impl Future<Output = Result<Arc<LoadedModel>>>,
    ) -> Result<Arc<LoadedModel>> {
        let cell = Arc::clone(
            self.models.lock().unwrap_or_else(PoisonError::into_inner).entry(revision.to_owned()).or_default(),
        );
        cell.get_or_try_init(|| load).await.cloned()
    }

    /// Takes in a model that is loaded already.
    pub(crate) fn insert(&self, revision: String, deployed: Arc<LoadedModel>) {
        let cell = Arc::new(OnceCell::new_with(Some(deployed)));
        self.models.lock().unwrap_or_else(PoisonError::into_inner).insert(revision, cell);
    }

    /// Lets go of models that are not deployed any more. Predictions that run on one go on, and then it is gone.
    pub(crate) fn forget_all_but(&self, state: &Arc<State>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(state);
        let deployed: HashSet<&str> = state.deployments.values().map(|each| each.revision.as_str()).collect();
        self.models
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|revision, _| deployed.contains(revision.as_str()));
    }

    /// As [`Self::forget_all_but`], where what is deployed has been read anew: every prediction may ask.
    pub(crate) fn forget_where_changed(&self, state: &Arc<State>) {
        let is_known = Arc::ptr_eq(&self.state.lock().unwrap_or_else(PoisonError::into_inner), state);
        if !is_known {
            self.forget_all_but(state);
        }
    }
}
