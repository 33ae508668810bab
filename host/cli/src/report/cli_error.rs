//! The error that ends a verb: its message, its JSON, and its exit code.

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

/// The error codes that mean invalid usage, unless a server returned them.
const USAGE_CODES: [ErrorCode; 4] = [
    ErrorCode::BAD_REQUEST,
    ErrorCode::INVALID_PARAMETER_VALUE,
    ErrorCode::NOT_IMPLEMENTED,
    ErrorCode::UNAUTHENTICATED,
];

/// The error that ends a verb.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The reader closed stdout. The exit code is 0.
    ClosedPipe,
    /// The arguments or the input are invalid, or a file cannot be read or written.
    Input(String),
    /// Ctrl-C or another termination signal ended the verb.
    Interrupted,
    /// The file is a library without a plugin manifest.
    NotAPlugin(PathBuf),
    /// A plugin in this process called `exit`.
    PluginExited,
    /// A signal stopped a local model server, as intended.
    Stopped,
    /// The verb did not complete within this time limit.
    Timeout(Duration),
    /// An error that the host or the target returned.
    Target(Error),
    /// Some named targets cannot be used. `first` is the error of the first one.
    TargetsFailed { failed: usize, targets: usize, first: Box<Error> },
    /// Some rows of `predict-batch` have no answer. `errors` is the file that records their errors.
    RowsFailed { failed: u64, rows: u64, errors: Option<PathBuf> },
    /// The check of a verb failed. The verb has already printed the details.
    CheckFailed(String),
    /// Writing to stdout failed.
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
    /// Prints the error and returns the exit code.
    pub(crate) fn print(&self, stderr: &Stderr, json: bool) -> u8 {
        let (message, explanation) = self.message();
        match self {
            Self::ClosedPipe => {}
            Self::Stopped if !json => stderr.note("stopped"),
            _ if json => stderr.json(&json!({ "error": self.to_json() })),
            _ => {
                let message = text::message(&format!("error: {message}"));
                stderr.line(&format!("{message}\n{}", text::block(&explanation)).trim_end());
            }
        }
        self.exit_code()
    }

    /// Returns the exit code of the error. The help text lists the exit codes.
    fn exit_code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::RowsFailed { .. } => 1,
            Self::Input(_) | Self::OutputError(_) => 2,
            Self::Interrupted | Self::Stopped => 130,
            Self::NotAPlugin(_) | Self::CheckFailed(_) => 3,
            Self::PluginExited => 4,
            Self::Timeout(_) => 6,
            Self::TargetsFailed { first: error, .. } => exit_code_of(error),
            Self::Target(error) => exit_code_of(error),
        }
    }

    /// Returns the message of the error, and the lines of an explanation to print below it. The explanation may be
    /// empty.
    fn message(&self) -> (String, String) {
        match self {
            Self::ClosedPipe => (String::new(), String::new()),
            Self::Input(message) | Self::CheckFailed(message) => (message.clone(), String::new()),
            Self::Interrupted | Self::Stopped => ("interrupted".to_owned(), String::new()),
            Self::TargetsFailed { failed, targets, .. } => {
                (format!("{failed} of {targets} named targets cannot be used"), String::new())
            }
            Self::RowsFailed { failed, rows, errors } => {
                let records = match errors {
                    Some(errors) => format!("`{}` has their errors", errors.display()),
                    None => "`--errors FILE` records their errors".to_owned(),
                };
                (format!("{failed} of {rows} rows failed: {records}"), String::new())
            }
            Self::NotAPlugin(file) => {
                (format!("`{}` is not a plugin: it is a library without a manifest", file.display()), String::new())
            }
            Self::PluginExited => {
                let message = "a plugin called `exit`, which ends the command before it is done: run the command with `--isolate`, or report the error to the plugin's author";
                (message.to_owned(), String::new())
            }
            Self::Timeout(limit) => {
                let limit = limit.as_secs_f64();
                let message = format!(
                    "not done within {limit} s: reading the input, loading or calling the plugin, or writing the output took too long"
                );
                (message, String::new())
            }
            Self::Target(Error::NoTarget) => {
                ("no target specified: use `--target` or set `MLFLOW_DEPLOYMENTS_TARGET`".to_owned(), String::new())
            }
            Self::Target(Error::Ambiguous { scheme, first, second }) => {
                let message = format!(
                    "two plugins in one directory serve `{scheme}`: `{}` and `{}`; remove one, or choose with \
                     `--plugin PATH`",
                    first.display(),
                    second.display()
                );
                (message, String::new())
            }
            Self::Target(error @ Error::NoPlugin(missing)) => {
                let mut explanation = missing.search_report();
                if missing.discovery.schemes().is_empty() {
                    explanation.push_str(
                        "put a plugin into one of these directories, or specify its directory with `--plugin-dir` or \
                         `MLFLOW_DEPLOY_PLUGIN_PATH`\n",
                    );
                }
                (error.to_string(), explanation)
            }
            Self::Target(error) => {
                let message = unsupported(error).unwrap_or_else(|| error.to_string());
                (message, error.explanation())
            }
            Self::OutputError(error) => (format!("failed to write the output: {error}"), String::new()),
        }
    }

    /// Returns the error as JSON. An error of the target keeps all its members.
    fn to_json(&self) -> Value {
        let (message, _) = self.message();
        let code = match self {
            Self::Target(Error::Target(error)) => {
                let mut json = json!(error);
                json["message"] = message.into();
                return json;
            }
            Self::Target(Error::NoPlugin(missing)) => {
                let found = json!(Listing::new(&missing.discovery, None));
                let mut details =
                    json!({ "target": missing.target.to_string(), "nearest": missing.nearest, "found": found });
                if let Some(unread) = &missing.unread_file {
                    details["project_file"] = unread.as_str().into();
                }
                let code = &ErrorCode::PLUGIN_NOT_FOUND;
                return json!({ "code": code, "message": message, "retryable": false, "details": details });
            }
            Self::Target(error) => error.code(),
            Self::TargetsFailed { first, .. } => first.code(),
            Self::ClosedPipe | Self::Interrupted | Self::Stopped => &ErrorCode::CANCELLED,
            Self::Input(_) | Self::OutputError(_) => &ErrorCode::INVALID_PARAMETER_VALUE,
            Self::NotAPlugin(_) | Self::CheckFailed(_) => &ErrorCode::PLUGIN_LOAD_FAILED,
            Self::PluginExited => &ErrorCode::PLUGIN_CRASHED,
            Self::Timeout(_) => &ErrorCode::DEADLINE_EXCEEDED,
            Self::RowsFailed { .. } => &ErrorCode::BAD_REQUEST,
        };
        json!({ "code": code, "message": message, "retryable": false })
    }
}

/// Returns the exit code of an error that the host or the target returned.
fn exit_code_of(error: &Error) -> u8 {
    match error {
        Error::Ambiguous { .. } | Error::Load { .. } | Error::NoPlugin(_) => 3,
        Error::Config { .. } | Error::NoTarget => 2,
        error if *error.code() == ErrorCode::PLUGIN_CRASHED => 4,
        error if *error.code() == ErrorCode::PLUGIN_PANICKED => 4,
        error if *error.code() == ErrorCode::PLUGIN_PROTOCOL_VIOLATION => 4,
        error if *error.code() == ErrorCode::RESOURCE_DOES_NOT_EXIST => 5,
        error if *error.code() == ErrorCode::DEADLINE_EXCEEDED => 6,
        // Failed before a request was sent: the usage is invalid.
        error if error.http_status().is_none() && USAGE_CODES.contains(error.code()) => 2,
        _ => 1,
    }
}

/// Returns the message of an error for an unsupported operation; `None` for other errors. The message names verbs
/// instead of MLflow's functions.
fn unsupported(error: &Error) -> Option<String> {
    let Error::Target(error) = error else { return None };
    let verb = |name: &Value| verb_of(name.as_str()?);
    let requested = verb(error.details().get("operation")?)?;
    let supported: Vec<_> = error.details().get("supported")?.as_array()?.iter().filter_map(verb).collect();
    let is_local = *error.code() == ErrorCode::NOT_IMPLEMENTED && error.http_status().is_none();
    is_local.then(|| match supported.join("`, `") {
        none if none.is_empty() => format!("the target does not support `{requested}`"),
        supported => format!("the target does not support `{requested}`, only `{supported}`"),
    })
}

/// Prints a usage error or the requested help, and returns the exit code.
pub(crate) fn usage(error: &clap::Error) -> u8 {
    // The arguments could not be parsed, so `--json` is looked up in the raw arguments.
    let json = std::env::args_os().any(|argument| argument == "--json");
    if !error.use_stderr() {
        let written = command::stdout().and_then(|mut stdout| {
            let page = error.render();
            if json {
                return writeln!(stdout, "{}", text::json(&Value::from(page.to_string()).to_string()));
            }
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            match stdout.is_terminal() && !is_set("NO_COLOR") {
                true => write!(stdout, "{}", page.ansi()),
                false => write!(stdout, "{page}"),
            }
        });
        return written.map_or_else(|error| CliError::from(error).print(&Stderr::silent(), false), |()| 0);
    }
    let stray = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (UsageKind::UnknownArgument, Some(ContextValue::String(word))) if !word.starts_with('-') => Some(word),
        _ => None,
    };
    let message = if let Some(verb) = stray.filter(|word| Cli::command().find_subcommand(word).is_some()) {
        format!("unexpected argument: for help on `{verb}`, run `mlflow-deploy {verb} --help`")
    } else if stray.is_some() {
        // The argument may be a secret after a stray space, so it is not printed.
        "unexpected argument: write a value directly after its key, as in `--option key=value`".to_owned()
    } else if json {
        error.to_string().trim_start_matches("error: ").trim_end().to_owned()
    } else {
        Stderr::silent().line(&text::block(error.render().to_string().trim_end()));
        return 2;
    };
    CliError::Input(message).print(&Stderr::silent(), json)
}
