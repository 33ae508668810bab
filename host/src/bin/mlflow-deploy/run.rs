//! Runs a verb: one match arm each. Reads the input, makes the client, calls it, hands the answer to the report.

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mlflow_deploy::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy::{ClientOptions, DeployClient, Error, Host};
use tokio::runtime::Builder;

use crate::args::{Cli, Global, Target, Verb};
use crate::report::{Failure, Report};
use crate::{input, plugins};

/// How much longer than its limit a verb may take: a plugin that blocks the thread that calls it answers to nobody.
const GRACE: Duration = Duration::from_millis(200);

/// Runs the verb until it is done, interrupted, or out of time.
///
/// It runs on a thread of its own, and a second one keeps time and hears signals, so that nothing a plugin does can keep
/// the other two from ending it.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let report = Report::new(&cli.global);
    let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report.failure(&Failure::Input(format!("failed to start: {error}"))),
    };
    let limit = cli.verb.timeout();
    let outcome = runtime.block_on(async {
        let mut verb = tokio::spawn(verb(cli, report));
        let stuck = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit.saturating_add(GRACE)).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            done = &mut verb => done.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic())),
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
            () = stuck => Err(Failure::Stuck),
        };
        // What is on its way is dropped, and with it unfinished files, unless a plugin holds on to the thread.
        verb.abort();
        if !verb.is_finished() {
            let _dropped = tokio::time::timeout(GRACE, verb).await;
        }
        ended
    });
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report.failure(&failure),
    }
}

async fn verb(cli: Cli, report: Report) -> Result<(), Failure> {
    let host = host(&cli.global, &report);
    match cli.verb {
        Verb::Plugins(verb) => plugins::run(&verb, &host, &report),
        Verb::ListEndpoints(target) => {
            let client = open(&host, &target).await?;
            report.list("endpoints", &client.list_endpoints(ListEndpoints {}).await.map_err(Error::from)?)
        }
        Verb::GetEndpoint { target, endpoint } => {
            let client = open(&host, &target).await?;
            report.record(&client.get_endpoint(GetEndpoint { endpoint }).await.map_err(Error::from)?)
        }
        Verb::Predict { target, subject, input_path, content_type, output_path, stream } => {
            let inputs = input::read(&input_path, content_type)?;
            let client = open(&host, &target).await?;
            let (deployment_name, endpoint) = (subject.name, subject.endpoint);
            let mut output = report.output(output_path.as_deref())?;
            if stream {
                let arguments = PredictStream { deployment_name, endpoint, inputs, ..PredictStream::default() };
                let mut chunks = client.predict_stream(&arguments).map_err(Error::from)?;
                while let Some(chunk) = chunks.next().await {
                    output.line(&chunk.map_err(Error::from)?)?;
                }
            } else {
                let arguments = Predict { deployment_name, endpoint, inputs, ..Predict::default() };
                output.document(&client.predict(arguments).await.map_err(Error::from)?)?;
            }
            output.keep()
        }
        Verb::Help(target) => report.text(&host.target_help(target.target.as_deref()).await?),
    }
}

/// A host that searches where the flags and the environment say, and beside this executable.
fn host(global: &Global, report: &Report) -> Host {
    let mut builder = Host::builder().on_event(report.listener());
    builder = global.plugin_dir.iter().fold(builder, |builder, directory| {
        // A flag is typed in the folder that it is meant from.
        builder.plugin_dir(std::path::absolute(directory).unwrap_or_else(|_empty| directory.clone()))
    });
    builder = global.plugin.iter().fold(builder, |builder, file| builder.plugin(file));
    if let Ok(executable) = std::env::current_exe() {
        builder = builder.beside_executable(executable);
    }
    builder.build()
}

/// Makes the client. The limit holds for all of the verb: the call gets what loading and opening leave of it.
async fn open(host: &Host, target: &Target) -> Result<DeployClient, Failure> {
    let mut options = serde_json::Map::new();
    for option in &target.options {
        let (key, value) = option.pair().map_err(Failure::Input)?;
        if options.insert(key.clone(), value).is_some() {
            return Err(Failure::Input(format!("`--option {key}` is given twice")));
        }
    }
    let options = if options.is_empty() {
        ClientOptions::default()
    } else {
        ClientOptions::new(&options).map_err(Error::from)?
    };
    let begun = Instant::now();
    let client = host.get_deploy_client_with(target.target.as_deref(), &options, target.timeout).await?;
    let left = target.timeout.map(|limit| limit.saturating_sub(begun.elapsed()));
    Ok(client.with_timeout(left))
}
