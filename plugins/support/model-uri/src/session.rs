//! The HTTP clients and the time limits of one fetch.

use mlflow_deploy_http::{Client, Policy};
use tokio::sync::Semaphore;

use crate::limits::ModelLimits;

/// The maximum number of concurrent requests of one fetch.
pub(crate) const MAX_CONCURRENT_REQUESTS: usize = 8;

/// The HTTP clients of one fetch, and the policy with its deadline.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) http: &'a Client,
    /// The client for the storages to which signed URLs lead. It has no credentials.
    pub(crate) storage: &'a Client,
    pub(crate) policy: Policy,
    pub(crate) limits: ModelLimits,
    /// The places for concurrent requests for the parts of files.
    pub(crate) places: Semaphore,
}
