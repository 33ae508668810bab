//! Isolated plugins, each in a process of its own: equal results and errors, crashes, and orphans.

mod crashes;
mod equivalence;
mod first_loads;
mod fixture;
mod orphans;
mod reasons;

use fixture::{HERMIT, Messages, hermit, predict};
