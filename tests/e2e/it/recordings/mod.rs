//! Replays of the recordings of MLflow's real clients and servers.

mod cli;
mod client;
mod differences;
mod file;
mod server;
mod targets;

use file::outcome;
pub(crate) use file::recordings;
