//! The verb `run-local`: prints the address of the model server, and stops the server on an interrupt.

use mlflow_deploy::args::RunLocal as Arguments;
use mlflow_deploy::{Payload, Record};
use mlflow_deploy_plugin_api::text::line;

use crate::args::RunLocal;
use crate::context::Context;
use crate::report::CliError;
use crate::signals::TerminationSignals;

pub(crate) async fn run(verb: RunLocal, context: &Context) -> Result<(), CliError> {
    let RunLocal { target, name, model_uri, flavor, config } = verb;
    let target = context.host.target(target.target.as_deref())?;
    let config = context.config(&target, "run_local", &config)?;
    let arguments =
        Arguments { target_uri: target.uri().as_str().to_owned(), name: name.clone(), model_uri, flavor, config };
    // Registered before the call, so that a signal at any time is received.
    let mut signals =
        TerminationSignals::listen().map_err(|error| CliError::Input(format!("failed to start: {error}")))?;
    let mut served = tokio::select! {
        served = target.run_local(arguments) => served?,
        () = signals.recv() => return Err(CliError::Interrupted),
    };
    loop {
        tokio::select! {
            event = served.next() => match event {
                Some(event) => {
                    let written = event.map_err(CliError::from).and_then(|event| {
                        context.report.write_event(&event, |event| describe_event(&name, event))
                    });
                    if written.is_err() {
                        context.keep_alive(served);
                        return written;
                    }
                }
                None => return Ok(()),
            },
            () = signals.recv() => {
                served.stop().await?;
                return Err(CliError::Stopped);
            }
        }
    }
}

/// Formats an event of the server as text.
fn describe_event(name: &str, event: &Payload) -> String {
    match Record::try_from(event) {
        Ok(record) if record["event"] == "ready" && record["url"].is_string() => {
            let url = line(record["url"].as_str().unwrap_or_default());
            let example = record["example"].as_str().map(|example| format!("{example}\n")).unwrap_or_default();
            format!("{name} is served at {url}; press Ctrl-C to stop\n{example}")
        }
        _ => format!("{}\n", String::from_utf8_lossy(event.bytes())),
    }
}
