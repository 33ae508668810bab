//! Config and client options of the command line: `key=value` arguments that override a file. The target's manifest
//! gives their types.

mod config_or_option;
mod file;
mod json;
mod merge;
mod schema;
mod setting;
mod yaml;

pub(crate) use config_or_option::SettingKind;
pub(crate) use merge::merge;
pub(crate) use schema::Schema;
