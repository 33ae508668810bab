//! Runs a verb: one match arm each. Sets up the host and drives the verb to its end; what it does is in its own file.

use std::path::PathBuf;

use mlflow_deploy::Host;
use mlflow_deploy::args::GetDeployment;

use crate::args::{Cli, Global, Plugins, Verb};
use crate::context::Context;
use crate::executor::{Ending, execute};
use crate::report::{CliError, Report, Stderr};
use crate::{deployments, endpoints, help, local, man, plugins, predict};

/// Runs the verb; gives the exit code.
pub(crate) fn run(cli: Cli) -> u8 {
    let report = Report::new(&cli.global);
    let ending = Ending { limit: cli.verb.timeout(), is_orderly: matches!(cli.verb, Verb::RunLocal(_)) };
    execute(begin(cli, report.clone()), ending, report.talk(), |result| match result {
        Ok(()) => 0,
        Err(failure) => report.failure(&failure),
    })
}

/// Runs the verb; gives how that went, and what is left to be dropped.
async fn begin(mut cli: Cli, report: Report) -> (Result<(), CliError>, Option<Context>) {
    if let Verb::Plugins(Plugins::Retry { plugins }) = &cli.verb {
        // A file need not be on the search path to be tried again.
        let files = plugins.iter().map(PathBuf::from).filter(|path| path.is_file());
        cli.global.plugin.extend(files);
    }
    let session = match host(&cli.global, report.talk()) {
        Ok(host) => Context::new(host, report),
        Err(failure) => return (Err(failure), None),
    };
    (verb(cli, &session).await, Some(session))
}

async fn verb(cli: Cli, session: &Context) -> Result<(), CliError> {
    match cli.verb {
        Verb::Create(verb) => deployments::create(verb, session).await,
        Verb::Update(verb) => deployments::update(verb, session).await,
        Verb::Delete(verb) => deployments::delete(verb, session).await,
        Verb::List { client, endpoint } => deployments::list(&client, endpoint, session).await,
        Verb::Get { client, name, endpoint } => {
            deployments::get(&client, GetDeployment { name, endpoint }, session).await
        }
        Verb::Predict { question, stream: false } => predict::predict(question, session).await,
        Verb::Predict { question, stream: true } => predict::stream(question, session).await,
        Verb::Explain { question, plot } => predict::explain(question, plot, session).await,
        Verb::CreateEndpoint(verb) => endpoints::create(verb, session).await,
        Verb::UpdateEndpoint(verb) => endpoints::update(verb, session).await,
        Verb::DeleteEndpoint { client, endpoint } => endpoints::delete(&client, endpoint, session).await,
        Verb::ListEndpoints(client) => endpoints::list(&client, session).await,
        Verb::GetEndpoint { client, endpoint } => endpoints::get(&client, endpoint, session).await,
        Verb::Invoke(verb) => predict::invoke(verb, session).await,
        Verb::RunLocal(verb) => local::run(verb, session).await,
        Verb::Help(verb) => help::run(verb.target.target.as_deref(), session).await,
        Verb::Plugins(verb) => plugins::run(&verb, &cli.global, session).await,
        Verb::Completions { shell } => man::completions(shell, &session.report),
        Verb::Man(manual) => man::manual(&manual, &session.report),
    }
}

/// A host that searches where the flags and the environment say, and beside this executable.
fn host(global: &Global, talk: &Stderr) -> Result<Host, CliError> {
    let mut builder = Host::builder().on_event(talk.listener());
    builder = global.plugin_dir.iter().fold(builder, |builder, directory| {
        // A flag is typed in the folder that it is meant from.
        builder.plugin_dir(std::path::absolute(directory).unwrap_or_else(|_empty| directory.clone()))
    });
    builder = global.plugin.iter().fold(builder, |builder, file| builder.plugin(file));
    builder = global.trusted_plugin.iter().fold(builder, |builder, file| builder.trusted_plugin(file));
    if global.locked || global.lock_file.is_some() {
        builder = builder.lock_file(plugins::lock_file(global));
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
