//! The arguments, and all help text.

mod common;
mod operations;
mod verbs;

pub(crate) use common::{Client, ConfigArguments, PlotArguments};
pub(crate) use operations::verb_of;
pub(crate) use verbs::{
    Cli, Create, Delete, Endpoint, Global, Invoke, Manual, Plugins, PredictArgs, RunLocal, Update, Verb,
};
