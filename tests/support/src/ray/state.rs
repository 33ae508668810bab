//! The state of the fake cluster.

use std::collections::BTreeMap;
use std::fmt;

use crate::ray::applications::Applications;

/// A function that acts as another writer: it is called with the number of each accepted change, from 1.
pub(super) type OtherWriter = Box<dyn FnMut(usize, &mut Applications) + Send>;

/// The state of a cluster.
#[derive(Default)]
pub(super) struct ClusterState {
    pub(super) applications: Applications,
    pub(super) packages: BTreeMap<String, Vec<u8>>,
    pub(super) python_version: Option<String>,
    pub(super) other_writer: Option<OtherWriter>,
    pub(super) changes: usize,
    /// The values of the header `Authorization` that are accepted; `None` for any.
    pub(super) token: Option<String>,
}

impl fmt::Debug for ClusterState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.applications.fmt(formatter)
    }
}
