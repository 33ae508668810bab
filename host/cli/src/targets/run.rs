//! Runs the selected verb of `mlflow-deploy targets`.

use super::{add, check, list, remove, trust};
use crate::args::Targets;
use crate::context::Context;
use crate::report::CliError;

pub(crate) async fn run(verb: Option<Targets>, context: &Context) -> Result<(), CliError> {
    match verb {
        None | Some(Targets::List) => list::run(context),
        Some(Targets::Add(arguments)) => add::run(&arguments, context),
        Some(Targets::Check { name, .. }) => check::run(name.as_deref(), context).await,
        Some(Targets::Remove { name }) => remove::run(&name, context),
        Some(Targets::Trust { file }) => trust::run(file.as_deref(), context),
    }
}
