//! The arguments, and all help text.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use serde_json::Value;

/// Deploy models to, and get predictions from, any target that has a plugin.
#[derive(Debug, Parser)]
#[command(name = "mlflow-deploy", version, disable_help_subcommand = true, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,

    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every verb takes.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Print one JSON document on stdout, and errors as JSON on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Look for plugins in this directory before all others. Can be repeated.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) plugin_dir: Vec<PathBuf>,

    /// Use this plugin for the schemes that it serves. Can be repeated.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) plugin: Vec<PathBuf>,

    /// Say more on stderr: once for what goes on, twice for what helps to find a fault.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Say nothing on stderr but errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// The verbs, named as in `mlflow deployments`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// See which plugins are found, and why others are not used.
    #[command(subcommand)]
    Plugins(Plugins),

    /// List all endpoints of a target.
    ListEndpoints(Target),

    /// Show one endpoint.
    GetEndpoint {
        #[command(flatten)]
        target: Target,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: String,
    },

    /// Predict with the deployed model for the given input.
    Predict {
        #[command(flatten)]
        target: Target,

        #[command(flatten)]
        subject: Subject,

        /// File with the input, or `-` for stdin.
        #[arg(short = 'I', long, value_name = "FILE")]
        input_path: PathBuf,

        /// The input's media type. Without it: `text/csv` for a file that ends in `.csv`, else `application/json`.
        #[arg(long, value_name = "TYPE")]
        content_type: Option<String>,

        /// File to write the result to, instead of stdout. It is replaced only when the result is complete.
        #[arg(short = 'O', long, value_name = "FILE")]
        output_path: Option<PathBuf>,

        /// Print the predictions as they arrive, one JSON value on each line.
        #[arg(long)]
        stream: bool,
    },

    /// Show how a target is used.
    Help(Target),
}

impl Verb {
    /// The limit that the caller set.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::ListEndpoints(target)
            | Self::GetEndpoint { target, .. }
            | Self::Predict { target, .. }
            | Self::Help(target) => target.timeout,
            Self::Plugins(_) => None,
        }
    }
}

/// What can be asked of the plugins themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugins {
    /// List every plugin on the search path, and every file that is none, with the reason.
    List,

    /// Show what a plugin's file says of itself. Runs none of it.
    Inspect {
        /// The plugin's file.
        file: PathBuf,
    },

    /// Show which plugin serves a target.
    Which {
        /// The target URI.
        target: String,
    },
}

/// The target, and the client made of it.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// Target URI, such as `databricks` or `http://localhost:5000`. Without it: `MLFLOW_DEPLOYMENTS_TARGET`.
    #[arg(short, long, value_name = "URI")]
    pub(crate) target: Option<String>,

    /// An option of the client: `key=text`, or `key:=JSON`. Wins over the environment. Can be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<Unread>,

    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// What is asked: a deployment or an endpoint.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Subject {
    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// An argument that may hold a secret: it is not shown, also not where it is wrong.
#[derive(Clone)]
pub(crate) struct Unread(String);

impl From<String> for Unread {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<redacted>")
    }
}

impl Unread {
    /// Reads `key=text` or `key:=JSON`. What is wrong is said without the value.
    pub(crate) fn pair(&self) -> Result<(String, Value), String> {
        let (key, value) =
            self.0.split_once('=').ok_or("an `--option` is not of the form `key=text` or `key:=JSON`")?;
        let (key, value) = match key.strip_suffix(':') {
            Some(key) => {
                let wrong =
                    |_said| format!("the value of `--option {key}:=…` is not JSON: quote text, or write `{key}=…`");
                (key, serde_json::from_str(value).map_err(wrong)?)
            }
            None => (key, Value::from(value)),
        };
        if key.is_empty() { Err("an `--option` has no key".to_owned()) } else { Ok((key.to_owned(), value)) }
    }
}

/// Reads a number of seconds, more than 0.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_not_a_number| "expected a number of seconds, such as 30 or 0.5")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a number of seconds greater than 0".to_owned()),
    }
}

const AFTER_HELP: &str = "\
Exit codes: 0 done · 1 the target answered with an error · 2 usage or input · 3 no plugin, or it could not be loaded · \
4 plugin fault · 5 the named resource does not exist · 6 deadline passed · 130 interrupted";
