//! What is deployed, kept in a directory that processes share: a crash at any point leaves what was, or what was to be.
//!
//! ```text
//! state.json      every deployment and endpoint; replaced whole, by renaming
//! lock            held by whoever changes state.json, for a moment
//! models/ID/      a copy of a model, that is never changed; a folder that no deployment names is garbage
//!   lock          held shared by whoever fills the folder or has the model loaded; garbage that nobody holds is removed
//!   model/        what MLflow saved
//!   deployment.json   how it is deployed, to make state.json anew; there only while state.json names the folder
//! ```
//!
//! Names of deployments are keys in a file, and never part of a path.

mod copies;
mod copy;
mod directory;
mod fault;
mod folder;
mod name;
mod rebuild;
mod state;
mod sweep;
#[cfg(test)]
mod tests;
mod wait;

pub(crate) use copy::copy;
pub(crate) use directory::StateDirectory;
pub(crate) use folder::Folder;
pub(crate) use name::check_name;
pub(crate) use rebuild::Rebuilt;
pub(crate) use state::{Deployment, Endpoint, State, now};
