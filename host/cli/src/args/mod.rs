//! The command-line arguments of all verbs, and their help texts.

mod batch_arguments;
mod cli;
mod common;
mod operations;
mod target_arguments;
mod verb_arguments;
mod verbs;

pub(crate) use batch_arguments::{LineForm, PredictBatch};
pub(crate) use cli::{Cli, Global};
pub(crate) use common::{
    ClientArguments, ConfigArguments, InputsFormat, NameOrEndpoint, OutputArguments, PlotArguments, PredictionsForm,
};
pub(crate) use operations::verb_of;
pub(crate) use target_arguments::{AddTarget, IsolationChoice, Targets};
pub(crate) use verb_arguments::{
    Create, CreateEndpointArguments, Delete, Invoke, Manual, PredictArguments, RunLocal, Update,
    UpdateEndpointArguments,
};
pub(crate) use verbs::{AddPython, Language, NewPlugin, Plugins, Verb};
