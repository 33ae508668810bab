//! The command and its verbs, named as in `mlflow deployments`.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use super::common::{
    ClientArguments, ConfigArguments, InputArguments, NameOrEndpoint, OutputArguments, PlotArguments, TargetArgument,
    seconds,
};

/// Deploy models and get predictions. Each deployment target is a plugin.
#[derive(Debug, Parser)]
#[command(name = "mlflow-deploy", version, disable_help_subcommand = true, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,

    #[command(flatten)]
    pub(crate) global: Global,
}

/// The options of every verb.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Print results as JSON on stdout and errors as JSON on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Do not escape control characters in results that are printed to a terminal.
    #[arg(long, global = true)]
    pub(crate) raw: bool,

    /// Search this directory for plugins first. Can be repeated.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) plugin_dir: Vec<PathBuf>,

    /// Use this plugin file for its schemes. Can be repeated.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plugin: Vec<PathBuf>,

    /// Like `--plugin`, without checking the owner and permissions of the file and its directory. Can be repeated.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trusted_plugin: Vec<PathBuf>,

    /// Load only plugins that match the lock file.
    #[arg(long, global = true)]
    pub(crate) locked: bool,

    /// The lock file [default: `mlflow-deploy.lock` in the current directory]. Implies `--locked`.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) lock_file: Option<PathBuf>,

    /// Run each plugin in its own process, with only the environment variables that it declares.
    #[arg(long, global = true)]
    pub(crate) isolate: bool,

    /// Print more to stderr: `-v` for progress, `-vv` for debugging.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print only errors to stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// The verbs of the command.
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
        #[arg(long)]
        stream: bool,
    },

    /// Explain the predictions for an input.
    Explain {
        #[command(flatten)]
        arguments: PredictArguments,

        #[command(flatten)]
        plot: PlotArguments,
    },

    /// Create an endpoint.
    CreateEndpoint(EndpointArguments),

    /// Update an endpoint's config.
    UpdateEndpoint(EndpointArguments),

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

    /// Print a completion script for a shell.
    Completions {
        /// The shell to complete in.
        shell: Shell,
    },

    /// Print the manual page, or write the pages of all commands to a directory.
    Man(Manual),
}

/// The arguments of `create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    /// URI of the model: a path, `runs:/…`, `models:/…`, or another URI that the target supports.
    #[arg(short, long, value_name = "URI")]
    pub(crate) model_uri: String,

    /// Model flavor to deploy [default: chosen by the target].
    #[arg(short, long)]
    pub(crate) flavor: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// The arguments of `update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    /// URI of the new model: a path, `runs:/…`, `models:/…`, or another URI that the target supports.
    #[arg(short, long, value_name = "URI")]
    pub(crate) model_uri: Option<String>,

    /// Model flavor to deploy. Requires `--model-uri`.
    #[arg(short, long, requires = "model_uri")]
    pub(crate) flavor: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// The arguments of `delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// The arguments of `predict` and `explain`.
#[derive(Args, Debug)]
pub(crate) struct PredictArguments {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    #[command(flatten)]
    pub(crate) resource: NameOrEndpoint,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    #[command(flatten)]
    pub(crate) input: InputArguments,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// The arguments of `create-endpoint` and `update-endpoint`.
#[derive(Args, Debug)]
pub(crate) struct EndpointArguments {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    /// Name of the endpoint.
    #[arg(long)]
    pub(crate) endpoint: String,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Wait until the endpoint is ready. Same as `--config wait:=true`.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// The arguments of `invoke`.
#[derive(Args, Debug)]
pub(crate) struct Invoke {
    /// Name of the operation.
    pub(crate) operation: String,

    #[command(flatten)]
    pub(crate) client: ClientArguments,

    /// Name of the deployment, if the operation requires one.
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Name of the endpoint, if the operation requires one.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Input file, or `-` for stdin, if the operation requires an input.
    #[arg(short = 'I', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input_path: Option<PathBuf>,

    /// Media type of the input; `csv` and `json` are short forms [default: from the file extension, else JSON].
    #[arg(long, value_name = "TYPE", requires = "input_path")]
    pub(crate) content_type: Option<String>,

    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// The arguments of `run-local`.
#[derive(Args, Debug)]
pub(crate) struct RunLocal {
    #[command(flatten)]
    pub(crate) target: TargetArgument,

    /// Name of the deployment.
    #[arg(long)]
    pub(crate) name: String,

    /// URI of the model: a path, `runs:/…`, `models:/…`, or another URI that the target supports.
    #[arg(short, long, value_name = "URI")]
    pub(crate) model_uri: String,

    /// Model flavor to deploy [default: chosen by the target].
    #[arg(short, long)]
    pub(crate) flavor: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Time limit in seconds until the server is ready.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
}

/// The arguments of `help`.
#[derive(Args, Debug)]
pub(crate) struct Help {
    #[command(flatten)]
    pub(crate) target: TargetArgument,

    /// Time limit in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, default_value = "30")]
    pub(crate) timeout: Duration,
}

/// The verbs of `plugins`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugins {
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

    /// Print the plugin that serves a target, and the plugins that it shadows.
    Which {
        /// The target URI.
        target: String,
    },
}

/// The arguments of `man`.
#[derive(Args, Debug)]
pub(crate) struct Manual {
    /// Write the pages of all commands to this directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,
}

impl Cli {
    /// Parses the arguments of the process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let cli = Self::try_parse()?;
        // The parser misses a conflict of one option before the verb and another after it.
        if cli.global.quiet && cli.global.verbose > 0 {
            let message = "the argument '--quiet' cannot be used with '--verbose': use one of them";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        match &cli.verb {
            Verb::Predict { arguments, .. } => exactly_one("predict", &arguments.resource)?,
            Verb::Explain { arguments, .. } => exactly_one("explain", &arguments.resource)?,
            _ => {}
        }
        Ok(cli)
    }
}

/// Fails unless exactly one of `--name` and `--endpoint` is given. The message is MLflow's.
fn exactly_one(verb: &str, resource: &NameOrEndpoint) -> Result<(), clap::Error> {
    let kind = match (&resource.name, &resource.endpoint) {
        (Some(_), Some(_)) => ErrorKind::ArgumentConflict,
        (None, None) => ErrorKind::MissingRequiredArgument,
        _ => return Ok(()),
    };
    let mut command = Cli::command();
    command.build();
    let verb = command.find_subcommand_mut(verb).expect("the verb has been parsed");
    Err(verb.error(kind, "Must specify exactly one of --name or --endpoint."))
}

impl Verb {
    /// Returns the time limit of the verb. That of `run-local` ends when the server is ready, so the verb keeps it itself.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(Create { client, .. })
            | Self::CreateEndpoint(EndpointArguments { client, .. })
            | Self::Delete(Delete { client, .. })
            | Self::DeleteEndpoint { client, .. }
            | Self::Explain { arguments: PredictArguments { client, .. }, .. }
            | Self::Get { client, .. }
            | Self::GetEndpoint { client, .. }
            | Self::Invoke(Invoke { client, .. })
            | Self::List { client, .. }
            | Self::ListEndpoints(client)
            | Self::Predict { arguments: PredictArguments { client, .. }, .. }
            | Self::Update(Update { client, .. })
            | Self::UpdateEndpoint(EndpointArguments { client, .. }) => client.timeout,
            Self::Help(help) => Some(help.timeout),
            Self::Completions { .. } | Self::Man(_) | Self::Plugins(_) | Self::RunLocal(_) => None,
        }
    }
}

const AFTER_HELP: &str = "\
Exit codes: 0 success · 1 error reported by the target · 2 invalid usage or input, missing \
credentials, or unsupported operation · 3 plugin not found or not loadable · \
4 plugin failure · 5 resource does not exist · 6 timeout · 130 interrupted";

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn assert_global_options(command: &Command, globals: &[&str]) {
        for global in globals {
            let has_option = command.get_arguments().any(|argument| argument.get_long() == Some(global));
            assert!(has_option, "`{}` has an argument with the id of `--{global}`", command.get_name());
        }
        command.get_subcommands().for_each(|verb| assert_global_options(verb, globals));
    }

    #[test]
    fn every_verb_takes_the_global_options() {
        let mut command = Cli::command();
        command.build();
        let globals = command.get_arguments().filter(|argument| argument.is_global_set());
        let globals: Vec<_> = globals.filter_map(|argument| argument.get_long()).collect();
        assert!(globals.contains(&"plugin"), "{globals:?}");
        assert_global_options(&command, &globals);
    }
}
