//! Runs the conformance cases on the plugins of this repository, and on copies of a plugin that have one fault each.

mod c_kit;
mod command;
mod harness;
mod mutants;
mod new_plugins;
mod plugins;
mod proof;
mod servers;

pub(crate) use harness::check;
use harness::{Report, harness};
