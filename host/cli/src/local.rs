//! The verb `run-local`: says where the model is served, and stops the server when it is interrupted.

use mlflow_deploy::args::RunLocal as Arguments;
use mlflow_deploy::{Payload, Record};
use mlflow_deploy_plugin_api::text::line;

use crate::args::RunLocal;
use crate::context::Context;
use crate::executor::Interruption;
use crate::report::CliError;

pub(crate) async fn run(verb: RunLocal, session: &Context) -> Result<(), CliError> {
    let RunLocal { target, name, model_uri, flavor, config } = verb;
    let target = session.host.target(target.target.as_deref())?;
    let config = session.config(&target, "run_local", &config)?;
    let asked =
        Arguments { target_uri: target.uri().as_str().to_owned(), name: name.clone(), model_uri, flavor, config };
    // One for all of the verb: an interruption counts whenever it comes.
    let mut interruption =
        Interruption::listen().map_err(|error| CliError::Input(format!("failed to start: {error}")))?;
    let mut served = tokio::select! {
        served = target.run_local(asked) => served?,
        () = interruption.heard() => return Err(CliError::Interrupted),
    };
    loop {
        tokio::select! {
            event = served.next() => match event {
                Some(event) => {
                    let shown = event.map_err(CliError::from).and_then(|event| {
                        session.report.event(&event, |event| sentence(&name, event))
                    });
                    if shown.is_err() {
                        session.hold(served);
                        return shown;
                    }
                }
                None => return Ok(()),
            },
            () = interruption.heard() => {
                served.stop().await?;
                return Err(CliError::Stopped);
            }
        }
    }
}

/// An event of the server for a person.
fn sentence(name: &str, event: &Payload) -> String {
    match Record::try_from(event) {
        Ok(record) if record["event"] == "ready" && record["url"].is_string() => {
            let url = line(record["url"].as_str().unwrap_or_default());
            let example = record["example"].as_str().map(|example| format!("{example}\n")).unwrap_or_default();
            format!("{name} is served at {url}; Ctrl-C stops it\n{example}")
        }
        _ => format!("{}\n", String::from_utf8_lossy(event.bytes())),
    }
}
