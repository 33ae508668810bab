//! Sets up the host, calls the function of the verb, and returns the exit code. Each verb is in another file.

use std::path::PathBuf;

use mlflow_deploy::args::GetDeployment;
use mlflow_deploy::{Host, command};
use mlflow_deploy_plugin_api::Deadline;
use tokio::sync::watch;

use crate::args::{Cli, Global, Plugins, Verb};
use crate::context::Context;
use crate::executor::{ExecuteOptions, execute};
use crate::report::{CliError, Report, Stderr};
use crate::{batch, deployments, endpoints, help, local, man, plugins, predict, targets};

/// Runs the verb of the command line and returns the exit code.
pub(crate) fn run(cli: Cli) -> u8 {
    let report = Report::new(&cli.global);
    let to_stderr = report.clone();
    let _guard = command::on_exit(move || to_stderr.write_error(&CliError::PluginExited));
    let (deadline, current) = watch::channel(cli.verb.timeout().map(Deadline::after));
    let options = ExecuteOptions { deadline: current, stops_gracefully: matches!(cli.verb, Verb::RunLocal(_)) };
    execute(start(cli, report.clone(), deadline), options, report.stderr(), |result| match result {
        Ok(()) => 0,
        Err(error) => report.write_error(&error),
    })
}

/// Runs the verb. Returns its result and the context. The caller drops the context after it has written the result.
async fn start(
    mut cli: Cli,
    report: Report,
    deadline: watch::Sender<Option<Deadline>>,
) -> (Result<(), CliError>, Option<Context>) {
    if let Verb::Plugins(Plugins::Retry { plugins }) = &cli.verb {
        // A file to retry may be outside of the search path.
        let files = plugins.iter().map(PathBuf::from).filter(|path| path.is_file());
        cli.global.plugin.extend(files);
    }
    let context = match host(&cli.global, report.stderr()) {
        Ok(host) => Context::new(host, report, deadline),
        Err(error) => return (Err(error), None),
    };
    (verb(cli, &context).await, Some(context))
}

async fn verb(cli: Cli, context: &Context) -> Result<(), CliError> {
    match cli.verb {
        Verb::Create(verb) => deployments::create(verb, context).await,
        Verb::Update(verb) => deployments::update(verb, context).await,
        Verb::Delete(verb) => deployments::delete(verb, context).await,
        Verb::List { client, endpoint } => deployments::list(&client, endpoint, context).await,
        Verb::Get { client, name, endpoint } => {
            deployments::get(&client, GetDeployment { name, endpoint }, context).await
        }
        Verb::Predict { arguments, stream, text: true, .. } => predict::text(arguments, stream, context).await,
        Verb::Predict { arguments, stream: false, format, .. } => predict::predict(arguments, format, context).await,
        Verb::Predict { arguments, stream: true, .. } => predict::stream(arguments, context).await,
        Verb::PredictBatch(verb) => batch::run(verb, context).await,
        Verb::Explain { arguments, plot } => predict::explain(arguments, plot, context).await,
        Verb::CreateEndpoint(verb) => endpoints::create(verb, context).await,
        Verb::UpdateEndpoint(verb) => endpoints::update(verb, context).await,
        Verb::DeleteEndpoint { client, endpoint } => endpoints::delete(&client, endpoint, context).await,
        Verb::ListEndpoints(client) => endpoints::list(&client, context).await,
        Verb::GetEndpoint { client, endpoint } => endpoints::get(&client, endpoint, context).await,
        Verb::Invoke(verb) => predict::invoke(verb, context).await,
        Verb::RunLocal(verb) => local::run(verb, context).await,
        Verb::Help(verb) => help::run(verb.target.target.as_deref(), context).await,
        Verb::Plugins(verb) => plugins::run(&verb, &cli.global, context).await,
        Verb::Targets { verb } => targets::run(verb, context).await,
        Verb::Completions { shell } => man::completions(shell, &context.report),
        Verb::Man(manual) => man::manual(&manual, &context.report),
    }
}

/// Builds a host from the command-line options. The host also searches the directories beside this executable for
/// plugins.
fn host(global: &Global, stderr: &Stderr) -> Result<Host, CliError> {
    let mut builder = Host::builder().on_event(stderr.listener());
    builder = global.plugin_dir.iter().fold(builder, |builder, directory| {
        // A relative path is relative to the current directory of this process.
        builder.plugin_dir(std::path::absolute(directory).unwrap_or_else(|_empty| directory.clone()))
    });
    builder = global.plugin.iter().fold(builder, |builder, file| builder.plugin(file));
    builder = global.trusted_plugin.iter().fold(builder, |builder, file| builder.trusted_plugin(file));
    if global.locked || global.lock_file.is_some() {
        builder = builder.lock_file(plugins::lock_file_path(global));
    }
    builder = builder.try_first_loads().user_config()?;
    if global.isolate {
        builder = builder.isolate_all();
    }
    if let Ok(executable) = std::env::current_exe() {
        builder = builder.beside_executable(executable);
    }
    Ok(builder.build())
}
