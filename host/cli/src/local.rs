//! The verb `run-local`: prints the address of the model server, and stops the server on an interrupt.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use mlflow_deploy::args::RunLocal as Arguments;
use mlflow_deploy::{ErrorCode, Payload, Record, TargetError};
use mlflow_deploy_plugin_api::text::line;
use tokio::time;

use crate::args::RunLocal;
use crate::context::Context;
use crate::executor::MAX_STOP_TIME;
use crate::report::CliError;
use crate::signals::TerminationSignals;

pub(crate) async fn run(verb: RunLocal, context: &Context) -> Result<(), CliError> {
    let RunLocal { target, name, model_uri, flavor, config, timeout } = verb;
    let mut expiry = pin!(expire(timeout));
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
        error = &mut expiry => return Err(error),
    };
    let mut is_ready = false;
    loop {
        tokio::select! {
            event = served.next() => match event {
                Some(event) => {
                    is_ready |= event.as_ref().is_ok_and(is_ready_event);
                    let written = event.map_err(CliError::from).and_then(|event| {
                        context.report.write_event(&event, |event| describe_event(&name, event))
                    });
                    if written.is_err() {
                        context.keep_alive(served);
                        return written;
                    }
                }
                None if is_ready => return Ok(()),
                None => return Err(never_ready(&name)),
            },
            () = signals.recv() => {
                served.stop().await?;
                return Err(CliError::Stopped);
            }
            error = &mut expiry, if !is_ready => {
                // The error of the time limit is more helpful than that of a server that does not stop.
                let _stopped = time::timeout(MAX_STOP_TIME, served.stop()).await;
                return Err(error);
            }
        }
    }
}

/// Waits until the time limit has passed, then returns the error of a server that is not ready. Never returns without a
/// limit.
async fn expire(limit: Option<Duration>) -> CliError {
    let Some(limit) = limit else { return pending().await };
    time::sleep(limit).await;
    let message = format!("the server was not ready within {} s", limit.as_secs_f64());
    CliError::Target(TargetError::new(ErrorCode::DEADLINE_EXCEEDED, message).into())
}

/// Returns the error for a plugin whose server has ended without the event `ready`.
fn never_ready(name: &str) -> CliError {
    let message = format!("the plugin ended without serving `{name}`: it sent no event `ready`");
    CliError::Target(TargetError::new(ErrorCode::PLUGIN_PROTOCOL_VIOLATION, message).into())
}

/// Returns true if the event reports that the server accepts requests.
fn is_ready_event(event: &Payload) -> bool {
    Record::try_from(event).is_ok_and(|record| record["event"] == "ready")
}

/// Formats an event of the model server `name` as text.
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
