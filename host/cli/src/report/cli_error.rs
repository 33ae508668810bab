//! How verbs fail: the message, the same as data, and the exit code.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind as UsageKind};
use mlflow_deploy::{Error, ErrorCode, command};
use mlflow_deploy_plugin_api::text;
use serde_json::{Value, json};

use super::stderr::Stderr;
use crate::args::{Cli, verb_of};
use crate::plugins::Listing;

/// What is the caller's fault, where no server says so.
const CALLER_S: [ErrorCode; 4] = [
    ErrorCode::BAD_REQUEST,
    ErrorCode::INVALID_PARAMETER_VALUE,
    ErrorCode::NOT_IMPLEMENTED,
    ErrorCode::UNAUTHENTICATED,
];

/// How a verb fails.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The reader of stdout has gone: no failure of ours.
    ClosedPipe,
    /// The input or the output is not what it should be.
    Input(String),
    /// Ctrl-C, or the request to end.
    Interrupted,
    /// A library that is no plugin.
    NotAPlugin(PathBuf),
    /// A server was stopped by Ctrl-C, which is how it is meant to be.
    Stopped,
    /// What was waited for did not let go within the caller's limit, which is this.
    Timeout(Duration),
    /// The host or the target.
    Target(Error),
    /// What was examined is not as it should be; what exactly is said already.
    CheckFailed(String),
    /// Stdout takes no more.
    OutputError(io::Error),
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        Self::Target(error)
    }
}

impl From<mlflow_deploy::TargetError> for CliError {
    fn from(error: mlflow_deploy::TargetError) -> Self {
        Self::Target(Error::from(error))
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::OutputError(error),
        }
    }
}

impl CliError {
    /// Says how a verb failed; gives its exit code.
    pub(crate) fn report(&self, talk: &Stderr, json: bool) -> u8 {
        let (message, explanation) = self.message();
        match self {
            Self::ClosedPipe => {}
            Self::Stopped if !json => talk.remark("stopped"),
            _ if json => talk.json(&json!({ "error": self.to_json() })),
            _ => {
                let message = text::message(&format!("error: {message}"));
                talk.line(&format!("{message}\n{}", text::block(&explanation)).trim_end());
            }
        }
        self.exit_code()
    }

    /// The table of exit codes, as `--help` shows it.
    fn exit_code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Input(_) | Self::OutputError(_) => 2,
            Self::Interrupted | Self::Stopped => 130,
            Self::NotAPlugin(_) | Self::CheckFailed(_) => 3,
            Self::Timeout(_) => 6,
            Self::Target(error) => match error {
                Error::Ambiguous { .. } | Error::Load { .. } | Error::NoPlugin(_) => 3,
                Error::Config { .. } | Error::NoTarget => 2,
                error if *error.code() == ErrorCode::PLUGIN_CRASHED => 4,
                error if *error.code() == ErrorCode::PLUGIN_PANICKED => 4,
                error if *error.code() == ErrorCode::PLUGIN_PROTOCOL_VIOLATION => 4,
                error if *error.code() == ErrorCode::RESOURCE_DOES_NOT_EXIST => 5,
                error if *error.code() == ErrorCode::DEADLINE_EXCEEDED => 6,
                // Refused before a server was asked: what the caller said, or did not, was at fault.
                error if error.http_status().is_none() && CALLER_S.contains(error.code()) => 2,
                _ => 1,
            },
        }
    }

    /// The message, and what a person may want to know beside it.
    fn message(&self) -> (String, String) {
        match self {
            Self::ClosedPipe => (String::new(), String::new()),
            Self::Input(message) | Self::CheckFailed(message) => (message.clone(), String::new()),
            Self::Interrupted | Self::Stopped => ("interrupted".to_owned(), String::new()),
            Self::NotAPlugin(file) => {
                (format!("`{}` is a library, but no plugin: it has no manifest", file.display()), String::new())
            }
            Self::Timeout(limit) => {
                let limit = limit.as_secs_f64();
                let message = format!(
                    "not done within {limit} s: the input, the output, the plugin's loading or its call did not end"
                );
                (message, String::new())
            }
            Self::Target(Error::NoTarget) => {
                ("no target is given: use `--target`, or set `MLFLOW_DEPLOYMENTS_TARGET`".to_owned(), String::new())
            }
            Self::Target(error) => {
                let message = unsupported(error).unwrap_or_else(|| error.to_string());
                (message, error.explanation())
            }
            Self::OutputError(error) => (format!("failed to write the output: {error}"), String::new()),
        }
    }

    /// The failure as data. What a target answered is passed on as it came.
    fn to_json(&self) -> Value {
        let (message, _) = self.message();
        let code = match self {
            Self::Target(Error::Target(error)) => {
                let mut json = json!(error);
                json["message"] = message.into();
                return json;
            }
            Self::Target(Error::NoPlugin(missing)) => {
                let found = json!(Listing::new(&missing.discovery));
                let details =
                    json!({ "target": missing.target.to_string(), "nearest": missing.nearest, "found": found });
                let code = &ErrorCode::PLUGIN_NOT_FOUND;
                return json!({ "code": code, "message": message, "retryable": false, "details": details });
            }
            Self::Target(error) => error.code(),
            Self::ClosedPipe | Self::Interrupted | Self::Stopped => &ErrorCode::CANCELLED,
            Self::Input(_) | Self::OutputError(_) => &ErrorCode::INVALID_PARAMETER_VALUE,
            Self::NotAPlugin(_) | Self::CheckFailed(_) => &ErrorCode::PLUGIN_LOAD_FAILED,
            Self::Timeout(_) => &ErrorCode::DEADLINE_EXCEEDED,
        };
        json!({ "code": code, "message": message, "retryable": false })
    }
}

/// What the target does not support, and what it does, by the verbs that ask for it: the library has MLflow's names.
fn unsupported(error: &Error) -> Option<String> {
    let Error::Target(error) = error else { return None };
    let verb = |name: &Value| verb_of(name.as_str()?);
    let asked = verb(error.details().get("operation")?)?;
    let supported: Vec<_> = error.details().get("supported")?.as_array()?.iter().filter_map(verb).collect();
    let is_host_s = *error.code() == ErrorCode::NOT_IMPLEMENTED && error.http_status().is_none();
    is_host_s.then(|| format!("the target does not support `{asked}`, only `{}`", supported.join("`, `")))
}

/// Says how the arguments are wrong, or shows the help that was asked for; gives the exit code.
pub(crate) fn usage(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let written = command::stdout().and_then(|mut stdout| {
            let page = error.render();
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            match stdout.is_terminal() && !is_set("NO_COLOR") {
                true => write!(stdout, "{}", page.ansi()),
                false => write!(stdout, "{page}"),
            }
        });
        return written.map_or_else(|error| CliError::from(error).report(&Stderr::silent(), false), |()| 0);
    }
    // The arguments could not be read, so whether JSON is wanted is only to be seen in their words.
    let json = std::env::args_os().any(|argument| argument == "--json");
    let stray = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (UsageKind::UnknownArgument, Some(ContextValue::String(word))) if !word.starts_with('-') => Some(word),
        _ => None,
    };
    let message = if let Some(verb) = stray.filter(|word| Cli::command().find_subcommand(word).is_some()) {
        format!("there is a word too many: `mlflow-deploy {verb} --help` says how to use `{verb}`")
    } else if stray.is_some() {
        // It may be a secret behind a blank too many.
        "there is a word too many: write a value behind its key, as in `--option key=value`".to_owned()
    } else if json {
        error.to_string().trim_start_matches("error: ").trim_end().to_owned()
    } else {
        Stderr::silent().line(&text::block(error.render().to_string().trim_end()));
        return 2;
    };
    CliError::Input(message).report(&Stderr::silent(), json)
}
