//! A run in a tracking store.

/// The fields of a run that locate its artifacts.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) run_id: String,
    pub(crate) experiment_id: String,
    pub(crate) artifact_uri: String,
}
