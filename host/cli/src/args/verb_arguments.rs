//! The arguments that belong to one verb, or to two similar verbs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::common::{
    ClientArguments, ConfigArguments, InputArguments, NameOrEndpoint, OutputArguments, TargetArgument, seconds,
};

/// The command-line arguments of `mlflow-deploy create`.
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

/// The command-line arguments of `mlflow-deploy update`.
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

/// The command-line arguments of `mlflow-deploy delete`.
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

/// The command-line arguments of `mlflow-deploy predict` and `mlflow-deploy explain`.
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

/// The command-line arguments of `mlflow-deploy create-endpoint`.
#[derive(Args, Debug)]
pub(crate) struct CreateEndpointArguments {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    /// Name of the endpoint. Not required if the config names it, with the key `name`.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Wait until the endpoint is ready. Same as `--config wait:=true`.
    #[arg(long)]
    pub(crate) wait: bool,
}

/// The command-line arguments of `mlflow-deploy update-endpoint`.
#[derive(Args, Debug)]
pub(crate) struct UpdateEndpointArguments {
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

/// The command-line arguments of `mlflow-deploy invoke`.
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

/// The command-line arguments of `mlflow-deploy run-local`.
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

/// The command-line arguments of `mlflow-deploy help`.
#[derive(Args, Debug)]
pub(crate) struct Help {
    #[command(flatten)]
    pub(crate) target: TargetArgument,

    /// Time limit in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true, default_value = "30")]
    pub(crate) timeout: Duration,
}

/// The command-line arguments of `mlflow-deploy man`.
#[derive(Args, Debug)]
pub(crate) struct Manual {
    /// Write the pages of all commands to this directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,
}
