//! The only code that writes to stdout and stderr, and the exit codes.
//!
//! Results go to stdout, messages to stderr. With `--json`, stdout is one JSON document and an error on stderr is
//! another. Streams are JSON Lines with and without it.

mod cli_error;
mod output;
mod stderr;
mod stdout;

pub(crate) use cli_error::{CliError, usage};
pub(crate) use output::Output;
pub(crate) use stderr::Stderr;
pub(crate) use stdout::Report;
