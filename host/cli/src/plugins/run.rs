//! Runs the selected verb of `mlflow-deploy plugins`.

use super::list::Listing;
use super::{add_python, check, doctor, inspect, lock, new, retry, which};
use crate::args::{Global, Plugins};
use crate::context::Context;
use crate::report::CliError;

pub(crate) async fn run(verb: &Plugins, global: &Global, context: &Context) -> Result<(), CliError> {
    let Context { host, report, .. } = context;
    match verb {
        Plugins::AddPython(arguments) => add_python::run(arguments, context),
        Plugins::Check { file } => check::run(file, report),
        Plugins::Doctor => doctor::run(host, report),
        Plugins::Inspect { name_or_file } => inspect::run(name_or_file, context),
        Plugins::List => {
            let lock = host.lock()?;
            let discovery = context.discover();
            let listing = Listing::new(&discovery, lock.as_ref());
            report.write_value(&listing, || listing.to_string())
        }
        Plugins::Lock => lock::write(&lock::lock_file_path(global), context),
        Plugins::New(arguments) => new::run(arguments, report),
        Plugins::Retry { plugins } => retry::run(plugins, host, report).await,
        Plugins::Verify => lock::verify(&lock::lock_file_path(global), host, report),
        Plugins::Which { target } => which::run(target, context),
    }
}
