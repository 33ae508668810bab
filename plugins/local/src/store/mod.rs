//! What is deployed, kept in a directory that processes share: a crash at any point leaves what was, or what was to be.
//!
//! ```text
//! state.json      every deployment and endpoint; replaced whole, by renaming
//! lock            held by whoever changes state.json, for a moment
//! models/ID/      a copy of a model, that is never changed; a folder that no deployment names is garbage
//!   lock          held shared by whoever fills the folder or has the model loaded; garbage that nobody holds is removed
//!   model/        what MLflow saved
//! ```
//!
//! Names of deployments are keys in a file, and never part of a path.

mod copy;
mod directory;
mod fault;
mod folder;
mod name;
mod state;

pub(crate) use copy::copy;
pub(crate) use directory::StateDirectory;
pub(crate) use folder::Folder;
pub(crate) use name::check_name;
pub(crate) use state::{Deployment, Endpoint, State, now};
