//! Config and client options as they are given on the command line: `key=value` arguments on top of a file, read as
//! the target's manifest says.

mod file;
mod merge;
mod schema;
mod setting;

pub(crate) use merge::{Kind, merge};
pub(crate) use schema::Schema;
