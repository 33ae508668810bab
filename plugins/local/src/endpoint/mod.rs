//! Endpoints. An endpoint is a name that distributes requests among several deployments.

mod record;
mod traffic;

pub(crate) use record::EndpointRecord;
pub(crate) use traffic::{choose, create, update};
