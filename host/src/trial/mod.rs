//! Trials: what was never loaded before is first loaded into a process of its own, and what crashes or hangs there is
//! not loaded again until it changes.

mod first_load;
mod memory;

pub(crate) use first_load::{Standing, Trials};
pub(crate) use memory::Memory;
