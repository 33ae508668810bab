//! Checks isolated plugins, each in a separate process: results and errors equal to those in the host's process,
//! crashes, and orphaned processes.

mod crashes;
mod equivalence;
mod first_loads;
mod fixture;
pub(crate) mod orphans;
mod reasons;

use fixture::{HERMIT, Messages, hermit, predict};
