//! What several verbs take: the target and its client, config, a deployment or an endpoint, inputs and outputs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use mlflow_deploy::Secret;

/// The target.
#[derive(Args, Debug)]
pub(crate) struct TargetArgument {
    /// Target URI, such as `databricks` or `http://localhost:5000`. Without it: `MLFLOW_DEPLOYMENTS_TARGET`.
    #[arg(short, long, value_name = "URI")]
    pub(crate) target: Option<String>,
}

/// The target, and the client made of it.
#[derive(Args, Debug)]
pub(crate) struct Client {
    #[command(flatten)]
    pub(crate) target: TargetArgument,

    /// An option of the client, which wins over the environment: written like `--config`. Can be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<Secret>,

    /// JSON, YAML or TOML file with options of the client; `--option` wins over it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) options_file: Option<PathBuf>,

    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
}

/// Settings of the target's own.
#[derive(Args, Debug)]
pub(crate) struct ConfigArguments {
    /// A config key of the target's own; `mlflow-deploy help -t TARGET` lists them. Can be repeated.
    ///
    /// `key=text` is text, unless the target says that the key is a number, a truth value, a list or an object.
    /// `key:=JSON` is JSON, and `.a.b=text` or `.a.b:=JSON` is the member `b` of the object `a`.
    #[arg(short = 'C', long = "config", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<Secret>,

    /// JSON, YAML or TOML file with config; `--config` wins over it.
    #[arg(long = "config-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
}

/// What is asked: a deployment or an endpoint.
#[derive(Args, Debug)]
pub(crate) struct Subject {
    /// Name of the deployment. Exactly one of `--name` or `--endpoint` must be specified.
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Name of the endpoint. Exactly one of `--name` or `--endpoint` must be specified.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
}

/// What goes in.
#[derive(Args, Debug)]
pub(crate) struct InputArguments {
    /// File with the input, or `-` for stdin, of at most 512 MiB. CSV becomes `dataframe_split` where the target takes none.
    #[arg(short = 'I', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input_path: PathBuf,

    /// The input's media type; `csv` and `json` will do. Without it: what the file's name ends in, else JSON.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}

/// Where the result goes.
#[derive(Args, Debug)]
pub(crate) struct OutputArguments {
    /// File to write the result to, instead of stdout. It is replaced only when the result is complete.
    #[arg(short = 'O', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output_path: Option<PathBuf>,
}

/// What is drawn of an explanation.
#[derive(Args, Debug)]
pub(crate) struct PlotArguments {
    /// SVG file to draw the explanation to: which features matter, and how one row's prediction comes about.
    ///
    /// Of targets that explain as `local` does.
    #[arg(long = "plot", value_name = "FILE.svg", value_hint = ValueHint::FilePath, value_parser = svg)]
    pub(crate) path: Option<PathBuf>,

    /// The row whose prediction is drawn, counted from 0.
    #[arg(long = "plot-row", value_name = "ROW", default_value_t = 0, requires = "path")]
    pub(crate) row: usize,

    /// The output that is drawn, by its name in `output_names`. Without it: the largest that the row has.
    #[arg(long = "plot-output", value_name = "NAME", requires = "path")]
    pub(crate) output: Option<String>,
}

/// Reads the name of an SVG file.
fn svg(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
        true => Ok(path),
        false => Err("expected a file name that ends in `.svg`, the one format that is drawn".to_owned()),
    }
}

/// Reads a number of seconds, more than 0.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_not_a_number| "expected a number of seconds, such as 30 or 0.5")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Err(_) if seconds > 0.0 => Err("expected a number of seconds that a clock can count".to_owned()),
        _ => Err("expected a number of seconds greater than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_more_than_none_and_no_more_than_can_be_counted() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for (text, said) in [
            ("1e400", "expected a number of seconds that a clock can count"),
            ("inf", "expected a number of seconds that a clock can count"),
            ("-1", "expected a number of seconds greater than 0"),
            ("0", "expected a number of seconds greater than 0"),
            ("nan", "expected a number of seconds greater than 0"),
            ("soon", "expected a number of seconds, such as 30 or 0.5"),
        ] {
            assert_eq!(seconds(text), Err(said.to_owned()), "{text}");
        }
    }
}
