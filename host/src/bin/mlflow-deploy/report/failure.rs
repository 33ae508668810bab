//! How verbs fail: the message, the same as data, and the exit code.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use mlflow_deploy::{Error, ErrorCode};
use serde_json::{Value, json};

use super::talk::Talk;
use crate::plugins::Listing;

/// How a verb fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of stdout has gone: no failure of ours.
    ClosedPipe,
    /// The input or the output is not what it should be.
    Input(String),
    /// Ctrl-C, or the request to end.
    Interrupted,
    /// A library that is no plugin.
    NotAPlugin(PathBuf),
    /// The plugin blocked the thread that called it beyond the caller's limit.
    Stuck,
    /// The host or the target.
    Target(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Target(error)
    }
}

impl From<mlflow_deploy::TargetError> for Failure {
    fn from(error: mlflow_deploy::TargetError) -> Self {
        Self::Target(Error::from(error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Input(format!("failed to write the output: {error}")),
        }
    }
}

impl Failure {
    /// Says how a verb failed; gives its exit code.
    pub(crate) fn report(&self, talk: &Talk, json: bool) -> ExitCode {
        let (message, explanation) = self.message();
        match self {
            Self::ClosedPipe => {}
            _ if json => talk.line(&json!({ "error": self.to_json() })),
            _ => talk.line(&format!("error: {message}\n{explanation}").trim_end()),
        }
        ExitCode::from(self.exit_code())
    }

    /// The table of exit codes, as `--help` shows it.
    fn exit_code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Input(_) => 2,
            Self::Interrupted => 130,
            Self::NotAPlugin(_) => 3,
            Self::Stuck => 6,
            Self::Target(error) => match error {
                Error::Ambiguous { .. } | Error::Load { .. } | Error::NoPlugin(_) => 3,
                Error::NoTarget => 2,
                error if *error.code() == ErrorCode::PLUGIN_PANICKED => 4,
                error if *error.code() == ErrorCode::PLUGIN_PROTOCOL_VIOLATION => 4,
                error if *error.code() == ErrorCode::RESOURCE_DOES_NOT_EXIST => 5,
                error if *error.code() == ErrorCode::DEADLINE_EXCEEDED => 6,
                // Refused before a server was asked: the caller's own words were at fault.
                error if *error.code() == ErrorCode::INVALID_PARAMETER_VALUE && error.http_status().is_none() => 2,
                _ => 1,
            },
        }
    }

    /// The message, and what a person may want to know beside it.
    fn message(&self) -> (String, String) {
        match self {
            Self::ClosedPipe => (String::new(), String::new()),
            Self::Input(message) => (message.clone(), String::new()),
            Self::Interrupted => ("interrupted".to_owned(), String::new()),
            Self::NotAPlugin(file) => {
                (format!("`{}` is a library, but no plugin: it has no manifest", file.display()), String::new())
            }
            Self::Stuck => ("the plugin blocked beyond the deadline, and was left behind".to_owned(), String::new()),
            Self::Target(Error::NoTarget) => {
                ("no target is given: use `--target`, or set `MLFLOW_DEPLOYMENTS_TARGET`".to_owned(), String::new())
            }
            Self::Target(error) => (error.to_string(), error.explanation()),
        }
    }

    /// The failure as data. What a target answered is passed on as it came.
    fn to_json(&self) -> Value {
        let (message, explanation) = self.message();
        let code = match self {
            Self::Target(Error::Target(error)) => return json!(error),
            Self::Target(Error::NoPlugin(missing)) => {
                let found = json!(Listing::new(&missing.discovery));
                let details =
                    json!({ "target": missing.target.to_string(), "nearest": missing.nearest, "found": found });
                let code = &ErrorCode::PLUGIN_NOT_FOUND;
                return json!({ "code": code, "message": message, "retryable": false, "details": details });
            }
            Self::Target(error) => error.code(),
            Self::ClosedPipe | Self::Interrupted => &ErrorCode::CANCELLED,
            Self::Input(_) => &ErrorCode::INVALID_PARAMETER_VALUE,
            Self::NotAPlugin(_) => &ErrorCode::PLUGIN_LOAD_FAILED,
            Self::Stuck => &ErrorCode::DEADLINE_EXCEEDED,
        };
        let causes: Vec<_> = explanation.lines().collect();
        json!({ "code": code, "message": message, "retryable": false, "causes": causes })
    }
}

/// Says how the arguments are wrong, or shows the help that was asked for; gives the exit code.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // The arguments could not be read, so whether JSON is wanted is only to be seen in their words.
    let json = std::env::args_os().any(|argument| argument == "--json");
    match (error.use_stderr(), json) {
        (true, true) => {
            let message = error.to_string();
            let message = message.trim_start_matches("error: ").trim_end();
            Talk::silent().line(&json!({ "error": Failure::Input(message.to_owned()).to_json() }));
        }
        // Nothing is left to be done where the help cannot be written.
        _ => drop(error.print()),
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
