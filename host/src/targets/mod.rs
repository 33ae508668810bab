//! Typed records and methods for the targets that this project includes. They supplement the client that every target
//! has.
//!
//! The rest of the library does not depend on these modules.

pub mod databricks;
pub mod gateway;
