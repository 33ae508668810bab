//! Runs a verb: one match arm each. Reads the input, makes the client, calls it, hands the answer to the report.

use std::path::PathBuf;
use std::time::Instant;

use mlflow_deploy::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, PredictStream, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy::{ClientOptions, Config, DeployClient, Host, Operation, Payload, Record, Target};
use serde_json::Value;

use crate::args::{Cli, Client, ConfigArguments, Global, PlotArguments, Plugins, Question, Unread, Verb};
use crate::drive::{Ending, drive};
use crate::report::{Failure, Output, Report, Talk};
use crate::settings::{Kind, Schema, merge};
use crate::{help, input, local, pages, plot, plugins};

/// Runs the verb; gives the exit code.
pub(crate) fn run(cli: Cli) -> u8 {
    let report = Report::new(&cli.global);
    let ending = Ending { limit: cli.verb.timeout(), is_orderly: matches!(cli.verb, Verb::RunLocal(_)) };
    match drive(verb(cli, report.clone()), ending, report.talk()) {
        Ok(()) => 0,
        Err(failure) => report.failure(&failure),
    }
}

async fn verb(mut cli: Cli, report: Report) -> Result<(), Failure> {
    if let Verb::Plugins(Plugins::Retry { plugins }) = &cli.verb {
        // A file need not be on the search path to be tried again.
        let files = plugins.iter().map(PathBuf::from).filter(|path| path.is_file());
        cli.global.plugin.extend(files);
    }
    let host = host(&cli.global, report.talk())?;
    let talk = report.talk();
    match cli.verb {
        Verb::Create(create) => {
            let target = find(&host, &create.client)?;
            let config = config(&target, Operation::CreateDeployment.name(), &create.config, false, talk)?;
            let client = open(&target, &create.client, talk).await?;
            let (name, model_uri, flavor, endpoint) = (create.name, create.model_uri, create.flavor, create.endpoint);
            let asked = CreateDeployment { name: name.clone(), model_uri, flavor, config, endpoint };
            let answer = client.create_deployment(asked).await?;
            report.done(&answer, |answer| match (member(answer, "flavor"), named(answer, &name)) {
                (Some(flavor), name) => format!("\n{flavor} deployment {name} is created\n"),
                (None, name) => format!("\nDeployment {name} is created\n"),
            })
        }
        Verb::Update(update) => {
            let target = find(&host, &update.client)?;
            let config = config(&target, Operation::UpdateDeployment.name(), &update.config, false, talk)?;
            let client = open(&target, &update.client, talk).await?;
            let (name, model_uri, flavor, endpoint) = (update.name, update.model_uri, update.flavor, update.endpoint);
            let asked = UpdateDeployment { name: name.clone(), model_uri, flavor, config, endpoint };
            let answer = client.update_deployment(asked).await?;
            report.done(&answer, |answer| match member(answer, "flavor") {
                Some(flavor) => format!("Deployment {name} is updated (with flavor {flavor})\n"),
                None => format!("Deployment {name} is updated\n"),
            })
        }
        Verb::Delete(delete) => {
            let target = find(&host, &delete.client)?;
            let config = config(&target, Operation::DeleteDeployment.name(), &delete.config, false, talk)?;
            let client = open(&target, &delete.client, talk).await?;
            let (name, endpoint) = (delete.name, delete.endpoint);
            let answer = client.delete_deployment(DeleteDeployment { name: name.clone(), config, endpoint }).await?;
            report.done(&answer, |_| format!("Deployment {name} is deleted\n"))
        }
        Verb::List { client, endpoint } => {
            let client = open(&find(&host, &client)?, &client, talk).await?;
            report.list("deployments", &client.list_deployments(ListDeployments { endpoint }).await?)
        }
        Verb::Get { client, name, endpoint } => {
            let client = open(&find(&host, &client)?, &client, talk).await?;
            report.record(&client.get_deployment(GetDeployment { name, endpoint }).await?)
        }
        Verb::Predict { question, stream: false } => {
            let Prepared { client, deployment_name, endpoint, config, inputs, mut output } =
                prepare(question, Operation::Predict, &host, &report).await?;
            output.document(&client.predict(Predict { deployment_name, endpoint, config, inputs }).await?)?;
            output.keep()
        }
        Verb::Predict { question, stream: true } => {
            let Prepared { client, deployment_name, endpoint, config, inputs, mut output } =
                prepare(question, Operation::PredictStream, &host, &report).await?;
            let mut chunks = client.predict_stream(&PredictStream { deployment_name, endpoint, config, inputs })?;
            while let Some(chunk) = chunks.next().await {
                output.line(&chunk?)?;
            }
            output.keep()
        }
        Verb::Explain { question, plot } => {
            let Prepared { client, deployment_name, endpoint, config, inputs, mut output } =
                prepare(question, Operation::Explain, &host, &report).await?;
            let picture = plot.path.as_deref().map(|path| report.output(Some(path))).transpose()?;
            let answer = client.explain(Explain { deployment_name, endpoint, config, inputs }).await?;
            // What cannot be drawn is an answer all the same.
            let drawn = picture.map(|picture| draw(picture, &answer, &plot)).transpose();
            output.document(&answer)?;
            output.keep()?;
            drawn.map(drop)
        }
        Verb::CreateEndpoint(create) => {
            let target = find(&host, &create.client)?;
            let config = config(&target, Operation::CreateEndpoint.name(), &create.config, create.wait, talk)?;
            let client = open(&target, &create.client, talk).await?;
            let name = create.endpoint;
            let answer = client.create_endpoint(CreateEndpoint { name: name.clone(), config }).await?;
            report.done(&answer, |answer| format!("\nEndpoint {} is created\n", named(answer, &name)))
        }
        Verb::UpdateEndpoint(update) => {
            let target = find(&host, &update.client)?;
            let config = config(&target, Operation::UpdateEndpoint.name(), &update.config, update.wait, talk)?;
            let client = open(&target, &update.client, talk).await?;
            let endpoint = update.endpoint;
            let answer = client.update_endpoint(UpdateEndpoint { endpoint: endpoint.clone(), config }).await?;
            report.done(&answer, |_| format!("\nEndpoint {endpoint} is updated\n"))
        }
        Verb::DeleteEndpoint { client, endpoint } => {
            let client = open(&find(&host, &client)?, &client, talk).await?;
            let answer = client.delete_endpoint(DeleteEndpoint { endpoint: endpoint.clone() }).await?;
            report.done(&answer, |_| format!("\nEndpoint {endpoint} is deleted\n"))
        }
        Verb::ListEndpoints(client) => {
            let client = open(&find(&host, &client)?, &client, talk).await?;
            report.list("endpoints", &client.list_endpoints(ListEndpoints {}).await?)
        }
        Verb::GetEndpoint { client, endpoint } => {
            let client = open(&find(&host, &client)?, &client, talk).await?;
            report.record(&client.get_endpoint(GetEndpoint { endpoint }).await?)
        }
        Verb::Invoke(invoke) => {
            let target = find(&host, &invoke.client)?;
            let config = config(&target, &invoke.operation, &invoke.config, false, talk)?;
            let inputs = match &invoke.input_path {
                Some(path) => input::read(path, invoke.content_type.as_deref())?,
                None => Payload::empty(),
            };
            let client = open(&target, &invoke.client, talk).await?;
            let (operation, name, endpoint) = (invoke.operation, invoke.name, invoke.endpoint);
            let mut output = report.output(invoke.output.output_path.as_deref())?;
            let asked = Invoke { operation, name, endpoint, config, inputs };
            output.document(&client.invoke(asked).await?)?;
            output.keep()
        }
        Verb::RunLocal(arguments) => local::run(arguments, &host, &report).await,
        Verb::Help(target) => help::run(target.target.as_deref(), &host, &report).await,
        Verb::Plugins(verb) => plugins::run(&verb, &cli.global, &host, &report).await,
        Verb::Completions { shell } => pages::completions(shell, &report),
        Verb::Man(manual) => pages::manual(&manual, &report),
    }
}

/// A host that searches where the flags and the environment say, and beside this executable.
fn host(global: &Global, talk: &Talk) -> Result<Host, Failure> {
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

fn find(host: &Host, arguments: &Client) -> Result<Target, Failure> {
    Ok(host.target(arguments.target.target.as_deref())?)
}

/// Makes the client. The limit holds for all of the verb: the call gets what loading and opening leave of it.
async fn open(target: &Target, arguments: &Client, talk: &Talk) -> Result<DeployClient, Failure> {
    let schema = Schema::new(Some(&target.manifest().options));
    let options = merge(Kind::Option, arguments.options_file.as_deref(), &arguments.options, schema, talk)?;
    let begun = Instant::now();
    let client = target.open(&ClientOptions::new(&options)?, arguments.timeout).await?;
    Ok(client.with_timeout(arguments.timeout.map(|limit| limit.saturating_sub(begun.elapsed()))))
}

/// A question to a deployment or an endpoint, and all that it takes to ask it.
struct Prepared {
    client: DeployClient,
    deployment_name: Option<String>,
    endpoint: Option<String>,
    config: Config,
    inputs: Payload,
    output: Output,
}

/// What the user gave is read before the plugin is loaded: what is wrong with it is said at once.
async fn prepare(question: Question, operation: Operation, host: &Host, report: &Report) -> Result<Prepared, Failure> {
    let target = find(host, &question.client)?;
    let config = config(&target, operation.name(), &question.config, false, report.talk())?;
    let inputs = input::read(&question.input.input_path, question.input.content_type.as_deref())?;
    let inputs = input::accepted(inputs, target.manifest())?;
    let client = open(&target, &question.client, report.talk()).await?;
    let output = report.output(question.output.output_path.as_deref())?;
    let (deployment_name, endpoint) = (question.subject.name, question.subject.endpoint);
    Ok(Prepared { client, deployment_name, endpoint, config, inputs, output })
}

fn draw(mut picture: Output, answer: &Payload, arguments: &PlotArguments) -> Result<(), Failure> {
    picture.text(&plot::svg(answer.bytes(), arguments)?)?;
    picture.keep()
}

/// The config of an operation, MLflow's or the target's own, as the target's manifest types it.
fn config(
    target: &Target,
    operation: &str,
    arguments: &ConfigArguments,
    wait: bool,
    talk: &Talk,
) -> Result<Config, Failure> {
    let schema = Schema::new(target.manifest().config.get(operation).and_then(Value::as_object));
    let mut settings = arguments.settings.clone();
    settings.extend(wait.then(|| Unread::from("wait:=true".to_owned())));
    Ok(Config::new(&merge(Kind::Config, arguments.file.as_deref(), &settings, schema, talk)?)?)
}

/// A member of the answer that is text.
fn member(answer: &Payload, name: &str) -> Option<String> {
    Record::try_from(answer).ok()?.get(name)?.as_str().map(str::to_owned)
}

/// The name that the answer gives, which is the one that was asked for unless the target changed it.
fn named(answer: &Payload, asked: &str) -> String {
    member(answer, "name").unwrap_or_else(|| asked.to_owned())
}
