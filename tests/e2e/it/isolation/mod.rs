//! Isolated plugins, each in a process of its own: equal results and errors, crashes, and orphans.

mod crashes;
mod first_loads;
mod fixture;
mod orphans;
mod same;
mod shown;

use fixture::{HERMIT, Messages, hermit, predict};
