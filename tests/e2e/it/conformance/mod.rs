//! The conformance harness, run on the plugins of this repository and on mutants.

mod command;
mod harness;
mod mutants;
mod plugins;
mod proof;
mod servers;

use harness::{Report, check, harness};
