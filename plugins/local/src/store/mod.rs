//! The state directory, which several processes may use at the same time. Each change of the state is atomic: after a
//! crash, the directory contains either the old state or the new state.
//!
//! ```text
//! state.json            all deployments and endpoints; a change replaces the whole file by renaming
//! lock                  locked by a process while it changes state.json
//! models/ID/            a copied model, which never changes; garbage if no deployment uses it
//!   lock                locked in shared mode by each process that fills the folder or has loaded the model; a sweep
//!                       removes a garbage folder if no process holds this lock
//!   model/              a copy of the folder that MLflow saved
//!   deployment.json     a copy of the deployment, to rebuild a lost state.json; exists only while state.json names ID
//! ```
//!
//! The names of deployments are keys in `state.json`. They are never parts of a path.

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
