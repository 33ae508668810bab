//! The only writer of stdout and stderr, and the table of exit codes.
//!
//! stdout is data, stderr is talk. Without `--json` a person reads both; with it, stdout is one JSON document and an
//! error on stderr is another. Streams are JSON Lines in both.

mod answer;
mod failure;
mod output;
mod talk;

pub(crate) use answer::Report;
pub(crate) use failure::{Failure, usage};
pub(crate) use output::Output;
pub(crate) use talk::Talk;
