//! The arguments and all help texts.

mod common;
mod operations;
mod verbs;

pub(crate) use common::{ClientArguments, ConfigArguments, OutputArguments, PlotArguments};
pub(crate) use operations::verb_of;
pub(crate) use verbs::{
    Cli, Create, Delete, EndpointArguments, Global, Invoke, Manual, Plugins, PredictArguments, RunLocal, Update, Verb,
};
