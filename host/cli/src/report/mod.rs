//! The only writer of stdout and stderr, and the table of exit codes.
//!
//! stdout is data, stderr is talk. Without `--json` a person reads both; with it, stdout is one JSON document and an
//! error on stderr is another. Streams are JSON Lines in both.

mod cli_error;
mod output;
mod stderr;
mod stdout;

pub(crate) use cli_error::{CliError, usage};
pub(crate) use output::Output;
pub(crate) use stderr::Stderr;
pub(crate) use stdout::Report;
