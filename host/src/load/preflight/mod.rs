//! Preflight: what was never loaded before is first loaded into a process of its own, and what crashes or hangs there is
//! not loaded again until it changes.

mod first_load;
mod store;

pub(crate) use first_load::{LoadHistory, Preflight};
pub(crate) use store::LoadStore;
