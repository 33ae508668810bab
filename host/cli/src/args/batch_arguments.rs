//! The arguments of `predict-batch`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use mlflow_deploy::bulk::RowForm;

use super::common::{ClientArguments, ConfigArguments, NameOrEndpoint};

/// The command-line arguments of `mlflow-deploy predict-batch`.
#[derive(Args, Debug)]
pub(crate) struct PredictBatch {
    #[command(flatten)]
    pub(crate) client: ClientArguments,

    #[command(flatten)]
    pub(crate) resource: NameOrEndpoint,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,

    /// Input file, JSON Lines or CSV with a header line, or `-` for stdin. It may have any size.
    ///
    /// Blank lines are skipped. The columns of CSV get the types that `predict` gives them; for a pipe, these are found in the
    /// first 1,000 rows.
    #[arg(short = 'I', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) input_path: PathBuf,

    /// Media type of the input: `csv` or `jsonl` [default: from the file extension, else `jsonl`].
    #[arg(long, value_name = "TYPE", value_parser = RowsType::parse)]
    pub(crate) content_type: Option<RowsType>,

    /// Form of the lines of JSON Lines: `request` is a whole request, and `record` is a row of a table.
    ///
    /// A row is an object with a member for each column, or a list of values. `auto` takes each line as a row if
    /// `--batch-rows` is given. Otherwise, if the target takes tables, because it accepts `text/csv` but not `text/plain`, a
    /// line is a row if it is a list of values, or an object without a member of a request: `dataframe_split`,
    /// `dataframe_records`, `instances`, `inputs`, `params`, `signature_name`, `messages`, `prompt` or `input`. All other
    /// lines are requests, which are sent unchanged.
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) rows: LineForm,

    /// Send up to this many rows in one request, as `dataframe_records` or `dataframe_split`.
    ///
    /// The output has the same form as without this option: a line for each row, with `predictions` that has one element.
    /// Other members of the answers are not written. If a request is refused, its rows are sent again in halves, so that only the
    /// bad rows fail.
    #[arg(long, value_name = "N")]
    pub(crate) batch_rows: Option<NonZeroUsize>,

    /// Write the answers to this file instead of stdout, as they arrive. It is overwritten, unless `--resume` is given.
    #[arg(short = 'O', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output_path: Option<PathBuf>,

    /// Write the errors of failed rows to this file: JSON Lines with the `line` of the row in the input and its `error`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) errors: Option<PathBuf>,

    /// Maximum number of requests in flight. Fewer are in flight while the target refuses requests because of its load.
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) jobs: NonZeroUsize,

    /// Maximum number of requests that are sent in a second.
    #[arg(long, value_name = "N", value_parser = rate, allow_negative_numbers = true)]
    pub(crate) rate: Option<f64>,

    /// Write answers in the order in which they arrive, as objects with the `line` of the row in the input and its `answer`.
    #[arg(long)]
    pub(crate) unordered: bool,

    /// Continue an interrupted run with the same input, options and output. Starts a new run if there is no output.
    #[arg(long, requires = "output_path")]
    pub(crate) resume: bool,
}

/// The values of `--rows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineForm {
    Auto,
    Record,
    Request,
}

impl From<LineForm> for RowForm {
    fn from(form: LineForm) -> Self {
        match form {
            LineForm::Auto => Self::Auto,
            LineForm::Record => Self::Record,
            LineForm::Request => Self::Request,
        }
    }
}

/// The values of `--content-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowsType {
    Csv,
    JsonLines,
}

impl RowsType {
    pub(crate) fn is_csv(self) -> bool {
        self == Self::Csv
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "csv" | "text/csv" => Ok(Self::Csv),
            "json" | "jsonl" | "ndjson" | "application/json" | "application/jsonl" | "application/x-ndjson" => {
                Ok(Self::JsonLines)
            }
            _ => Err("expected `csv` or `jsonl`".to_owned()),
        }
    }
}

/// Parses a positive number of requests in a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 =
        text.parse().map_err(|_not_a_number| "expected a number of requests in a second, such as 10 or 0.5")?;
    let is_valid = rate.is_finite() && (1e-6..=1e9).contains(&rate);
    if is_valid { Ok(rate) } else { Err("expected a positive number of requests in a second".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_positive_number() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["0", "-1", "inf", "NaN", "1e-300", "fast"] {
            assert!(rate(text).unwrap_err().starts_with("expected a "), "{text}");
        }
    }

    #[test]
    fn the_media_type_of_rows_has_short_forms() {
        for (text, parsed) in [
            ("csv", Ok(RowsType::Csv)),
            ("text/CSV; charset=utf-8", Ok(RowsType::Csv)),
            ("jsonl", Ok(RowsType::JsonLines)),
            ("application/json", Ok(RowsType::JsonLines)),
            ("parquet", Err("expected `csv` or `jsonl`".to_owned())),
        ] {
            assert_eq!(RowsType::parse(text), parsed);
        }
    }
}
