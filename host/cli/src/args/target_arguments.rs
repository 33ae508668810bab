//! The arguments of the verbs of `mlflow-deploy targets`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use mlflow_deploy::Secret;

use super::common::seconds;

/// The verbs of `mlflow-deploy targets`.
#[derive(Debug, Subcommand)]
pub(crate) enum Targets {
    /// Add a named target to the user's `config.toml`. Keeps the rest of the file, with its comments.
    Add(AddTarget),

    /// Check named targets: read their secrets, load their plugins and open clients. Fails if one cannot be used.
    Check {
        /// Name of the target [default: all named targets].
        name: Option<String>,

        /// Time limit in seconds for all checks.
        #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, default_value = "60")]
        timeout: Duration,
    },

    /// List the named targets. Reads no secrets.
    List,

    /// Remove a named target from the user's `config.toml`. Keeps the rest of the file, with its comments.
    Remove {
        /// Name of the target.
        name: String,
    },

    /// Trust a project file, `mlflow-deploy.toml`, so that its targets are read until the file changes.
    ///
    /// A project file may name programs to run, so it is not read before.
    Trust {
        /// Path of the file [default: the nearest one in the current directory or above].
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

/// The arguments of `targets add`.
#[derive(Debug, Args)]
pub(crate) struct AddTarget {
    /// Name of the target: letters, digits, `-` and `_`. It must not be the scheme of a plugin.
    pub(crate) name: String,

    /// Target URI, such as `databricks` or `http://localhost:5000`.
    #[arg(long)]
    pub(crate) uri: String,

    /// Client option in the syntax of `--config`, stored as plain text. Can be repeated.
    #[arg(short, long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<Secret>,

    /// Client option that is read from an environment variable when the target is used. Can be repeated.
    #[arg(long = "secret-env", value_name = "KEY=VARIABLE")]
    pub(crate) from_environment: Vec<Secret>,

    /// Client option that is read from a file when the target is used. Can be repeated.
    #[arg(long = "secret-file", value_name = "KEY=FILE")]
    pub(crate) from_files: Vec<Secret>,

    /// Client option that a program prints when the target is used. Can be repeated.
    ///
    /// The program and its arguments are words that are separated by white space, or a JSON list of strings. No shell is
    /// used.
    #[arg(long = "secret-command", value_name = "KEY=COMMAND")]
    pub(crate) from_commands: Vec<Secret>,

    /// Default time limit in seconds for a call.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,

    /// Run the plugin of the target in a process of its own.
    #[arg(long, value_name = "ISOLATION")]
    pub(crate) isolation: Option<IsolationChoice>,

    /// Name of the plugin to use, if several plugins serve the scheme.
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin_name: Option<String>,

    /// Replace a target of the same name.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// The values of `--isolation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IsolationChoice {
    None,
    Process,
}
