//! Types client options and config by the schemas in a plugin's manifest. The command uses this module for its arguments.

pub mod json;
mod schema;

pub use schema::{Schema, Unexpected};
