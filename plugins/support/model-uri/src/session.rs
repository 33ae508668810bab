//! The HTTP clients and time limits of one fetch.

use mlflow_deploy_http::{Client, Policy};

/// The number of concurrent requests of a fetch.
pub(crate) const MAX_CONCURRENT_REQUESTS: usize = 8;

/// The HTTP clients and the started policy of one fetch.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) http: &'a Client,
    /// The client for storages that servers sign URLs for. It has no credentials.
    pub(crate) storage: &'a Client,
    pub(crate) policy: Policy,
}
