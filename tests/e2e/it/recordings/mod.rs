//! Replays of recordings of the real clients and servers.

mod cli;
mod client;
mod differences;
mod file;
mod server;
mod targets;

use file::outcome;
pub(crate) use file::recordings;
