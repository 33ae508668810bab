//! The subjects that are measured in this program.

mod bare_reqwest;
mod plugin;

pub(crate) use bare_reqwest::BareReqwest;
pub(crate) use plugin::{Plugin, library};
