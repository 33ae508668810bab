//! Replays recordings of MLflow's real clients and servers, and compares this project's results with the recorded ones.

mod cli;
mod client;
mod differences;
mod file;
mod server;
mod targets;

use file::outcome;
pub(crate) use file::recordings;
