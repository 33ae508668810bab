//! The models that a client has loaded: each once, and no longer than its deployment is what it was.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mlflow_deploy_plugin_api::Result;
use tokio::sync::OnceCell;

use crate::deployed::Deployed;
use crate::store::State;

/// Models by the revision of their deployments.
#[derive(Default)]
pub(crate) struct Loaded(Mutex<HashMap<String, Arc<OnceCell<Arc<Deployed>>>>>);

impl Loaded {
    /// The model of a revision; the first who asks loads it, and the others wait.
    ///
    /// # Errors
    /// What `load` answers; the next who asks tries again.
    pub(crate) async fn get(
        &self,
        revision: &str,
        load: impl Future<Output = Result<Arc<Deployed>>>,
    ) -> Result<Arc<Deployed>> {
        let cell =
            Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(revision.to_owned()).or_default());
        cell.get_or_try_init(|| load).await.cloned()
    }

    /// Takes in a model that is loaded already.
    pub(crate) fn insert(&self, revision: String, deployed: Arc<Deployed>) {
        let cell = Arc::new(OnceCell::new_with(Some(deployed)));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(revision, cell);
    }

    /// Lets go of models that are not deployed any more. Predictions that run on one go on, and then it is gone.
    pub(crate) fn forget_all_but(&self, state: &State) {
        let deployed: HashSet<&str> = state.deployments.values().map(|each| each.revision.as_str()).collect();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|revision, _| deployed.contains(revision.as_str()));
    }
}
