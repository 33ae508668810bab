//! Isolated plugins, each in a separate process: equal results and errors, crashes, and orphaned processes.

mod crashes;
mod equivalence;
mod first_loads;
mod fixture;
mod orphans;
mod reasons;

use fixture::{HERMIT, Messages, hermit, predict};
