//! The arguments, and all help text.

mod parts;
mod verbs;

pub(crate) use parts::{Client, ConfigArguments, PlotArguments, Unread};
pub(crate) use verbs::{Cli, Global, Manual, Plugins, Question, RunLocal, Verb};
