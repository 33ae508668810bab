//! The verbs of `mlflow-deploy`. They include all verbs of `mlflow deployments`, with the same names.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use super::batch_arguments::PredictBatch;
use super::common::{ClientArguments, PlotArguments, PredictionsForm};
use super::target_arguments::Targets;
use super::verb_arguments::{
    Create, CreateEndpointArguments, Delete, Help, Invoke, Manual, PredictArguments, RunLocal, Update,
    UpdateEndpointArguments,
};

/// The verbs of `mlflow-deploy`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Deploy the model at a model URI to a target.
    Create(Create),

    /// Update a deployment's model, flavor or config.
    ///
    /// `--flavor` requires `--model-uri`.
    Update(Update),

    /// Delete a deployment. Succeeds if it does not exist.
    Delete(Delete),

    /// List the deployments of a target or of one of its endpoints.
    List {
        #[command(flatten)]
        client: ClientArguments,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: Option<String>,
    },

    /// Print the details of a deployment.
    Get {
        #[command(flatten)]
        client: ClientArguments,

        /// Name of the deployment.
        #[arg(long)]
        name: String,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: Option<String>,
    },

    /// Get predictions for an input from a deployment or an endpoint.
    Predict {
        #[command(flatten)]
        arguments: PredictArguments,

        /// Print the predictions as they arrive, one JSON value per line.
        #[arg(long, conflicts_with = "format")]
        stream: bool,

        /// Print only the text of a chat, a completion, a response or a message. With `--stream`, as it arrives.
        ///
        /// The calls of tools in the answer are named on stderr; with `-v`, so is the usage. An answer without text is an
        /// error.
        #[arg(long, conflicts_with = "format")]
        text: bool,

        /// Form of the printed predictions. `table` and `csv` print only the predictions, as pandas reads them.
        ///
        /// `csv` is what `DataFrame.to_csv(index=False)` writes, except that a list or an object in a cell is JSON. An
        /// answer that has no rows and columns, such as a chat, is an error.
        #[arg(long, value_name = "FORM", default_value = "json")]
        format: PredictionsForm,
    },

    /// Get predictions for many rows, with many requests at once.
    ///
    /// Each line of a JSON Lines file is a request, or a row of a table; each row of a CSV file is a row of a table. The
    /// output has one line for each row, in the order of the input: the answer as JSON, or `null` if the row has failed. If
    /// rows failed, the exit code is 1. Requests are sent again as for `predict`. If the target asks to wait, or refuses many
    /// requests because of its load, all requests slow down together.
    ///
    /// The output is written as answers arrive, with a journal beside it, `FILE.journal`. After an interruption, also by a
    /// crash, the same command with `--resume` continues: no line is lost or written twice, and only requests that were in
    /// flight are repeated.
    PredictBatch(PredictBatch),

    /// Explain the predictions for an input.
    Explain {
        #[command(flatten)]
        arguments: PredictArguments,

        #[command(flatten)]
        plot: PlotArguments,
    },

    /// Create an endpoint.
    CreateEndpoint(CreateEndpointArguments),

    /// Update an endpoint's config.
    UpdateEndpoint(UpdateEndpointArguments),

    /// Delete an endpoint. Succeeds if it does not exist.
    DeleteEndpoint {
        #[command(flatten)]
        client: ClientArguments,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: String,
    },

    /// List the endpoints of a target.
    ListEndpoints(ClientArguments),

    /// Print the details of an endpoint.
    GetEndpoint {
        #[command(flatten)]
        client: ClientArguments,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: String,
    },

    /// Run a target-specific operation. `mlflow-deploy help -t TARGET` lists them.
    Invoke(Invoke),

    /// Serve a model on this machine with the target's plugin until interrupted.
    RunLocal(RunLocal),

    /// List the targets, or show the URIs, options, config and environment of a target.
    Help(Help),

    /// List, check and lock plugins.
    #[command(subcommand)]
    Plugins(Plugins),

    /// List, check and change named targets.
    ///
    /// A named target is a table `[targets.NAME]` of the user's `config.toml`: a target URI with client options, whose
    /// secrets are read when the target is used. Without a command, lists them.
    Targets {
        #[command(subcommand)]
        verb: Option<Targets>,
    },

    /// Print a completion script for a shell.
    Completions {
        /// The shell to complete in.
        shell: Shell,
    },

    /// Print the manual page, or write the pages of all commands to a directory.
    Man(Manual),
}

/// The verbs of `mlflow-deploy plugins`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugins {
    /// Make the deployment plugins of a Python environment usable. Runs Python once for each plugin.
    AddPython(AddPython),

    /// Check a manifest, or the manifest in a library: print every fault with its line and column. Fails if there is a
    /// fault.
    Check {
        /// File with the manifest as JSON, or a plugin's library. `-` reads JSON from stdin.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },

    /// Check every plugin file: print its state, the reason and a fix. Fails if a plugin cannot be used.
    Doctor,

    /// List the plugins on the search path, and unusable files with the reason.
    List,

    /// Print a plugin's manifest without loading the plugin.
    Inspect {
        /// Name or file of the plugin.
        #[arg(value_name = "NAME|FILE", value_hint = ValueHint::FilePath)]
        name_or_file: PathBuf,
    },

    /// Write the version and SHA-256 of every plugin in use to the lock file. Keeps the entries of other platforms.
    Lock,

    /// Check the plugins in use against the lock file.
    Verify,

    /// Try again to load plugins that are quarantined because their first load crashed or hung.
    Retry {
        /// Names or files of the plugins [default: all quarantined plugins].
        #[arg(value_name = "NAME|FILE")]
        plugins: Vec<String>,
    },

    /// Write the project of a new plugin into a new folder: code that works, tests, a README and CI.
    New(NewPlugin),

    /// Print the plugin that serves a target, and the plugins that it shadows.
    Which {
        /// The target URI, or the name of a target.
        target: String,
    },
}

/// The arguments of `plugins add-python`.
#[derive(Debug, Args)]
pub(crate) struct AddPython {
    /// Names of the plugins, which are the schemes of their targets [default: all plugins].
    #[arg(value_name = "SCHEME")]
    pub(crate) schemes: Vec<String>,

    /// Python, or the folder of an environment [default: the active environment, else `python3` in `PATH`].
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) python: Option<PathBuf>,

    /// Environment variable that the plugins may read, in addition to those of MLflow. Can be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Vec<String>,

    /// Folder for the manifests [default: the plugin directory of the user].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) to: Option<PathBuf>,
}

/// The arguments of `plugins new`.
#[derive(Debug, Args)]
pub(crate) struct NewPlugin {
    /// Name of the plugin and of the new folder: a-z, then a-z, 0-9, `-`.
    pub(crate) name: String,

    /// Language of the plugin. For Python, use `python3 -m mlflow_deploy_plugin new NAME` in
    /// `plugin-api/python`.
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Language,

    /// URI scheme of the plugin's target [default: the name].
    #[arg(long)]
    pub(crate) scheme: Option<String>,

    /// Folder with the source code of mlflow-deploy, which a plugin in Rust is compiled with.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) source: Option<PathBuf>,
}

/// A language in which `plugins new` writes a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    C,
    Cpp,
    Rust,
    Zig,
}

impl Verb {
    /// Returns the time limit that the executor enforces for the verb; `None` if there is none. `run-local` enforces
    /// its own time limit, which applies until the server is ready.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(Create { client, .. })
            | Self::CreateEndpoint(CreateEndpointArguments { client, .. })
            | Self::Delete(Delete { client, .. })
            | Self::DeleteEndpoint { client, .. }
            | Self::Explain { arguments: PredictArguments { client, .. }, .. }
            | Self::Get { client, .. }
            | Self::GetEndpoint { client, .. }
            | Self::Invoke(Invoke { client, .. })
            | Self::List { client, .. }
            | Self::ListEndpoints(client)
            | Self::Predict { arguments: PredictArguments { client, .. }, .. }
            | Self::PredictBatch(PredictBatch { client, .. })
            | Self::Update(Update { client, .. })
            | Self::UpdateEndpoint(UpdateEndpointArguments { client, .. }) => client.timeout,
            Self::Help(help) => Some(help.timeout),
            Self::Targets { verb: Some(Targets::Check { timeout, .. }) } => Some(*timeout),
            Self::Completions { .. } | Self::Man(_) | Self::Plugins(_) | Self::RunLocal(_) | Self::Targets { .. } => {
                None
            }
        }
    }
}
