//! The config and the client options of the command line. Arguments of the form `key=value` override the settings of a
//! file. The target's manifest gives the types of the keys.

mod config_or_option;
mod file;
mod merge;
mod setting;
mod yaml;

pub(crate) use config_or_option::SettingKind;
pub(crate) use merge::{check_key, merge};
