//! Manages deployments, and the loaded models that answer their predictions.

mod deployments;
mod loaded_model;
mod model_cache;
mod record;
mod run_times;
mod source;

pub(crate) use deployments::{Deployments, FetchedModel};
pub(crate) use loaded_model::LoadedModel;
pub(crate) use record::DeploymentRecord;
