//! The arguments, and all help text.

mod operations;
mod parts;
mod verbs;

pub(crate) use operations::verb_of;
pub(crate) use parts::{Client, ConfigArguments, PlotArguments};
pub(crate) use verbs::{
    Cli, Create, Delete, Endpoint, Global, Invoke, Manual, Plugins, Question, RunLocal, Update, Verb,
};
