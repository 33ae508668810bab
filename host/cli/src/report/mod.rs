//! The output of the command. This is the only code that writes to stdout and stderr, and that chooses the exit code.
//!
//! Results go to stdout, errors and warnings to stderr. With `--json`, stdout has one JSON document, and an error on
//! stderr is another one. Streams of predictions are always JSON Lines.

mod cli_error;
mod output;
mod stderr;
mod stdout;

pub(crate) use cli_error::{CliError, usage};
pub(crate) use output::Output;
pub(crate) use stderr::Stderr;
pub(crate) use stdout::Report;
