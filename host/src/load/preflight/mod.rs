//! Loads a new file in a separate process first (preflight). A file that crashes or hangs there is not loaded again
//! until it changes.

mod first_load;
mod store;

pub(crate) use first_load::{LoadHistory, Preflight};
pub(crate) use store::LoadStore;
