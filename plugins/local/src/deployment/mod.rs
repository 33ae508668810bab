//! Deployments: creates, updates, deletes, fetches, loads and runs their models.

mod deployments;
mod loaded_model;
mod model_cache;
mod record;
mod source;

pub(crate) use deployments::{Deployments, FetchedModel};
pub(crate) use loaded_model::LoadedModel;
pub(crate) use record::DeploymentRecord;
