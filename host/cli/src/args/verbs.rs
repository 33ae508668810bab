//! The command and its verbs, named as in `mlflow deployments`.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::common::{
    Client, ConfigArguments, InputArguments, OutputArguments, PlotArguments, Subject, TargetArgument, seconds,
};

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

    /// Print answers to a terminal as they are, with control characters.
    #[arg(long, global = true)]
    pub(crate) raw: bool,

    /// Look for plugins in this directory before all others. Can be repeated.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) plugin_dir: Vec<PathBuf>,

    /// Use this plugin for the schemes that it serves. Can be repeated.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plugin: Vec<PathBuf>,

    /// As `--plugin`, whoever owns the file and its folder, and whoever can change them. Can be repeated.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trusted_plugin: Vec<PathBuf>,

    /// Load only plugins that are as the lock file has them.
    #[arg(long, global = true)]
    pub(crate) locked: bool,

    /// The lock file, instead of `mlflow-deploy.lock` in the current folder; implies `--locked`.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) lock_file: Option<PathBuf>,

    /// Run every plugin in a process of its own, which sees only what the plugin declares of the environment.
    #[arg(long, global = true)]
    pub(crate) isolate: bool,

    /// Say more on stderr: once for what goes on, twice for what helps to find a fault.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,

    /// Say nothing on stderr but errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Deploy the model at a model URI to a target.
    Create(Create),

    /// Update a deployment's model, flavor or config.
    ///
    /// With a flavor the model URI must be specified, too.
    Update(Update),

    /// Delete a deployment. One that is gone already is no error.
    Delete(Delete),

    /// List all deployments of a target, or of one of its endpoints.
    List {
        #[command(flatten)]
        client: Client,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: Option<String>,
    },

    /// Print a detailed description of one deployment.
    Get {
        #[command(flatten)]
        client: Client,

        /// Name of the deployment.
        #[arg(long)]
        name: String,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: Option<String>,
    },

    /// Predict with the deployed model for the given input.
    Predict {
        #[command(flatten)]
        question: PredictArgs,

        /// Print the predictions as they arrive, one JSON value on each line.
        #[arg(long)]
        stream: bool,
    },

    /// Explain the deployed model's predictions for the given input.
    Explain {
        #[command(flatten)]
        question: PredictArgs,

        #[command(flatten)]
        plot: PlotArguments,
    },

    /// Create an endpoint.
    CreateEndpoint(Endpoint),

    /// Update an endpoint's config.
    UpdateEndpoint(Endpoint),

    /// Delete an endpoint. One that is gone already is no error.
    DeleteEndpoint {
        #[command(flatten)]
        client: Client,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: String,
    },

    /// List all endpoints of a target.
    ListEndpoints(Client),

    /// Print a detailed description of one endpoint.
    GetEndpoint {
        #[command(flatten)]
        client: Client,

        /// Name of the endpoint.
        #[arg(long)]
        endpoint: String,
    },

    /// Run an operation of the target's own; `mlflow-deploy help -t TARGET` lists them.
    Invoke(Invoke),

    /// Serve a model on this machine as its target would, until interrupted.
    RunLocal(RunLocal),

    /// Show how a target is used: its URIs, options, config and environment. Without a target: which there are.
    Help(Help),

    /// See which plugins are found, and why others are not used.
    #[command(subcommand)]
    Plugins(Plugins),

    /// Print what makes a shell complete this command's arguments.
    Completions {
        /// The shell.
        shell: Shell,
    },

    /// Print the manual page, or write the pages of all verbs.
    Man(Manual),
}

/// Deploys a model.
#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) client: Client,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    /// URI of the model: a path, `runs:/…`, `models:/…`, or what else the target takes.
    #[arg(short, long, value_name = "URI")]
    pub(crate) model_uri: String,

    /// Which flavor to deploy; the target chooses where none is given.
    #[arg(short, long)]
    pub(crate) flavor: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// Changes a deployment.
#[derive(Args, Debug)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) client: Client,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    /// URI of the new model: a path, `runs:/…`, `models:/…`, or what else the target takes.
    #[arg(short, long, value_name = "URI")]
    pub(crate) model_uri: Option<String>,

    /// Which flavor to deploy; needs the model's URI.
    #[arg(short, long, requires = "model_uri")]
    pub(crate) flavor: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// Takes a deployment down.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) client: Client,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// Asks a deployment or an endpoint about an input.
#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) client: Client,

    #[command(flatten)]
    pub(crate) subject: Subject,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    #[command(flatten)]
    pub(crate) input: InputArguments,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// Makes or changes an endpoint.
#[derive(Args, Debug)]
pub(crate) struct Endpoint {
    #[command(flatten)]
    pub(crate) client: Client,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: String,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Return when the endpoint is ready: the same as `--config wait:=true`.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Runs an operation of the target's own.
#[derive(Args, Debug)]
pub(crate) struct Invoke {
    /// The operation's name.
    pub(crate) operation: String,

    #[command(flatten)]
    pub(crate) client: Client,

    /// Name of the deployment that it concerns.
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Name of the endpoint that it concerns.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// File with the input, or `-` for stdin, for an operation that has one.
    #[arg(short = 'I', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input_path: Option<PathBuf>,

    /// The input's media type; `csv` and `json` will do. Without it: what the file's name ends in, else JSON.
    #[arg(long, value_name = "TYPE", requires = "input_path")]
    pub(crate) content_type: Option<String>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// Serves a model on this machine.
#[derive(Args, Debug)]
pub(crate) struct RunLocal {
    #[command(flatten)]
    pub(crate) target: TargetArgument,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    /// URI of the model: a path, `runs:/…`, `models:/…`, or what else the target takes.
    #[arg(short, long, value_name = "URI")]
    pub(crate) model_uri: String,

    /// Which flavor to deploy; the target chooses where none is given.
    #[arg(short, long)]
    pub(crate) flavor: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

/// Shows how a target is used.
#[derive(Args, Debug)]
pub(crate) struct Help {
    #[command(flatten)]
    pub(crate) target: TargetArgument,

    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, default_value = "30")]
    pub(crate) timeout: Duration,
}

/// What can be asked of the plugins themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugins {
    /// Explain every file that might be a plugin: its state, the reason, and what to do. Fails where one cannot be used.
    Doctor,

    /// List every plugin on the search path, and every file that is none, with the reason.
    List,

    /// Show what a plugin's file says of itself. Runs none of it.
    Inspect {
        /// The plugin's name or file.
        #[arg(value_name = "NAME|FILE", value_hint = ValueHint::FilePath)]
        wanted: PathBuf,
    },

    /// Write the lock file: the SHA-256 of every plugin that is used. Entries of other platforms stay.
    Lock,

    /// Compare the plugins that are found with the lock file.
    Verify,

    /// Try plugins again whose first load crashed or hung, and which have been quarantined for that.
    Retry {
        /// The names or files of the plugins; without any, all that are quarantined.
        #[arg(value_name = "NAME|FILE")]
        plugins: Vec<String>,
    },

    /// Show which plugin serves a target, and which others would.
    Which {
        /// The target URI.
        target: String,
    },
}

/// Prints or writes manual pages.
#[derive(Args, Debug)]
pub(crate) struct Manual {
    /// Directory to write the pages of the command and of all verbs to, instead of printing the command's.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,
}

impl Cli {
    /// Reads the process's arguments.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let cli = Self::try_parse()?;
        match &cli.verb {
            Verb::Predict { question, .. } => exactly_one("predict", &question.subject)?,
            Verb::Explain { question, .. } => exactly_one("explain", &question.subject)?,
            _ => {}
        }
        Ok(cli)
    }
}

/// Either a deployment or an endpoint is asked, as MLflow has it, and in its words.
fn exactly_one(verb: &str, subject: &Subject) -> Result<(), clap::Error> {
    let kind = match (&subject.name, &subject.endpoint) {
        (Some(_), Some(_)) => ErrorKind::ArgumentConflict,
        (None, None) => ErrorKind::MissingRequiredArgument,
        _ => return Ok(()),
    };
    let mut command = Cli::command();
    command.build();
    let verb = command.find_subcommand_mut(verb).expect("the verb has just been read");
    Err(verb.error(kind, "Must specify exactly one of --name or --endpoint."))
}

impl Verb {
    /// The limit that the caller set.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(Create { client, .. })
            | Self::CreateEndpoint(Endpoint { client, .. })
            | Self::Delete(Delete { client, .. })
            | Self::DeleteEndpoint { client, .. }
            | Self::Explain { question: PredictArgs { client, .. }, .. }
            | Self::Get { client, .. }
            | Self::GetEndpoint { client, .. }
            | Self::Invoke(Invoke { client, .. })
            | Self::List { client, .. }
            | Self::ListEndpoints(client)
            | Self::Predict { question: PredictArgs { client, .. }, .. }
            | Self::Update(Update { client, .. })
            | Self::UpdateEndpoint(Endpoint { client, .. }) => client.timeout,
            Self::Help(help) => Some(help.timeout),
            Self::Completions { .. } | Self::Man(_) | Self::Plugins(_) | Self::RunLocal(_) => None,
        }
    }
}

const AFTER_HELP: &str = "\
Exit codes: 0 done · 1 the target answered with an error · 2 usage or input, credentials \
missing, or not supported · 3 no plugin, or it could not be loaded · \
4 plugin fault · 5 the named resource does not exist · 6 deadline passed · 130 interrupted";
