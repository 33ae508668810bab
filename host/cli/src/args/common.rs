//! The arguments that several verbs share: the target, the client options, the config, the input and the output.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use mlflow_deploy::Secret;

/// The argument that selects the target.
#[derive(Args, Debug)]
pub(crate) struct TargetArgument {
    /// Target URI, such as `databricks` or `http://localhost:5000`, or name of a target that `mlflow-deploy targets` lists
    /// [default: `MLFLOW_DEPLOYMENTS_TARGET`].
    #[arg(short, long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
}

/// The arguments that open a client: the target, the client options and the time limit.
#[derive(Args, Debug)]
pub(crate) struct ClientArguments {
    #[command(flatten)]
    pub(crate) target: TargetArgument,

    /// Client option in the syntax of `--config`. Overrides the environment and a named target. Can be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<Secret>,

    /// JSON, YAML or TOML file with client options. `--option` overrides it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) options_file: Option<PathBuf>,

    /// Time limit in seconds [default: that of a named target].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
}

/// The arguments that set the config of an operation.
#[derive(Args, Debug)]
pub(crate) struct ConfigArguments {
    /// Target-specific config. `mlflow-deploy help -t TARGET` lists the keys. Can be repeated.
    ///
    /// `key=value` sets a string, or a value of the type that the target declares for the key. `key:=JSON` sets a
    /// JSON value. `.a.b=value` and `.a.b:=JSON` set the member `b` of the object `a`.
    #[arg(short = 'C', long = "config", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<Secret>,

    /// JSON, YAML or TOML file with config. `--config` overrides it.
    #[arg(long = "config-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
}

/// The arguments that name the deployment or the endpoint to call.
#[derive(Args, Debug)]
pub(crate) struct NameOrEndpoint {
    /// Name of the deployment. Exactly one of `--name` or `--endpoint` must be specified.
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Name of the endpoint. Exactly one of `--name` or `--endpoint` must be specified.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// The arguments that select the input of a prediction: the file, its media type and its form.
#[derive(Args, Debug)]
pub(crate) struct InputArguments {
    /// Input file, or `-` for stdin. At most 512 MiB. CSV is converted to `dataframe_split` if the target requires
    /// JSON.
    #[arg(short = 'I', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input_path: PathBuf,

    /// Media type of the input; `csv` and `json` are short forms [default: from the file extension, else JSON].
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,

    /// Form of the input: `pandas` is a table as `pandas.read_json` reads it, and `raw` is forwarded unchanged.
    ///
    /// A table is a list of records or of rows, an object of `columns` and `data`, or an object of columns. It is converted
    /// to `dataframe_split`; its values are not changed. `auto` converts a table only if the target takes tables, because it
    /// accepts `text/csv` but not `text/plain`, and never an object with a member of another request: `dataframe_split`,
    /// `dataframe_records`, `instances`, `inputs`, `params`, `signature_name`, `messages`, `prompt` or `input`.
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) inputs_format: InputsFormat,
}

/// The values of `--format`: the forms in which predictions are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PredictionsForm {
    /// The answer of the target, unchanged.
    Json,
    /// A table for people.
    Table,
    /// CSV with a header.
    Csv,
}

/// The values of `--inputs-format`. They decide if a JSON table is converted to `dataframe_split`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum InputsFormat {
    Auto,
    Pandas,
    Raw,
}

/// The argument that selects the destination of the result.
#[derive(Args, Debug)]
pub(crate) struct OutputArguments {
    /// Write the result to this file instead of stdout. The file is replaced when the result is complete.
    ///
    /// A file with several hard links is overwritten instead, so all of them show the result.
    #[arg(short = 'O', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output_path: Option<PathBuf>,
}

/// The arguments that plot an explanation.
#[derive(Args, Debug)]
pub(crate) struct PlotArguments {
    /// Plot the explanation to this SVG file: feature importance, and a waterfall of one row's prediction.
    ///
    /// Requires a target whose explanations have the format of `local`.
    #[arg(long = "plot", value_name = "FILE.svg", value_hint = ValueHint::FilePath, value_parser = svg)]
    pub(crate) path: Option<PathBuf>,

    /// Row to plot, counted from 0.
    #[arg(long = "plot-row", value_name = "ROW", default_value_t = 0, requires = "path")]
    pub(crate) row: usize,

    /// Output to plot, a name in `output_names` [default: the row's largest output].
    #[arg(long = "plot-output", value_name = "NAME", requires = "path")]
    pub(crate) output: Option<String>,
}

/// Parses the path of an SVG file. Fails if the extension is not `.svg`.
fn svg(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
        true => Ok(path),
        false => Err("expected a file name that ends in `.svg`".to_owned()),
    }
}

/// Parses a positive number of seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_not_a_number| "expected a number of seconds, such as 30 or 0.5")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Err(_) if seconds > 0.0 => Err("number of seconds is too large".to_owned()),
        _ => Err("expected a positive number of seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_an_invalid_duration_fails() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for (text, message) in [
            ("1e400", "number of seconds is too large"),
            ("inf", "number of seconds is too large"),
            ("-1", "expected a positive number of seconds"),
            ("0", "expected a positive number of seconds"),
            ("nan", "expected a positive number of seconds"),
            ("soon", "expected a number of seconds, such as 30 or 0.5"),
        ] {
            assert_eq!(seconds(text), Err(message.to_owned()), "{text}");
        }
    }
}
