//! Config and client options of the command line: `key=value` arguments that override a file. The target's manifest
//! gives their types.

mod file;
mod json;
mod kind;
mod merge;
mod schema;
mod setting;
mod yaml;

pub(crate) use kind::SettingKind;
pub(crate) use merge::merge;
pub(crate) use schema::Schema;
