//! Runs of a tracking store.

/// The part of a run that locates its artifacts.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) run_id: String,
    pub(crate) experiment_id: String,
    pub(crate) artifact_uri: String,
}
