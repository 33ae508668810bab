//! The state directory, which processes share. After a crash at any point, the state is the old one or the new one.
//!
//! ```text
//! state.json      all deployments and endpoints; replaced as a whole, by renaming
//! lock            held by the process that changes state.json, for a moment
//! models/ID/      a copy of a model, which is never changed; a folder that no deployment names is garbage
//!   lock          held shared by each process that fills the folder or has loaded the model; garbage that no process
//!                 holds is removed
//!   model/        the folder that MLflow saved
//!   deployment.json   the deployment, to rebuild state.json; exists only while state.json names the folder
//! ```
//!
//! Names of deployments are keys in a file, never parts of a path.

mod copies;
mod copy;
mod directory;
mod folder;
mod io_error;
mod layout;
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
pub(crate) use name::{check_name, excerpt};
pub(crate) use rebuild::Rebuilt;
pub(crate) use state::{Deployment, Endpoint, State, now, taken};
