//! Typed records and methods for the bundled targets, on top of the client that every target has.
//!
//! The rest of the library does not know these targets.

pub mod databricks;
pub mod gateway;
