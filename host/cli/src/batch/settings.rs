//! The input of `predict-batch`, and the settings that a resumed run must share.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mlflow_deploy::bulk::{BulkInput, digest};
use mlflow_deploy::manifest::Manifest;
use mlflow_deploy::{Config, JSON, Target, command};
use serde_json::{Map, Value};

use crate::args::{LineForm, PredictBatch};
use crate::report::CliError;

/// The input, ready to be read.
pub(super) struct Source {
    pub(super) input: BulkInput,
    /// The size of the input in bytes; `None` if it is not a file.
    pub(super) size: Option<u64>,
}

impl Source {
    pub(super) fn open(verb: &PredictBatch, manifest: &Manifest) -> Result<Self, CliError> {
        let path = &verb.input_path;
        let failed = |error| CliError::Input(format!("failed to read the input `{}`: {error}", path.display()));
        let file = if path == Path::new("-") { command::stdin() } else { File::open(path) }.map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(std::io::ErrorKind::IsADirectory.into()));
        }
        for output in [output_path(verb), verb.errors.as_deref()].into_iter().flatten() {
            let is_input = |other: fs::Metadata| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino());
            if metadata.is_file() && fs::metadata(output).is_ok_and(is_input) {
                let message = format!("`{}` is the input, too: specify different files", output.display());
                return Err(CliError::Input(message));
            }
        }
        if !manifest.accepts_type(JSON) {
            let accepted = "the target does not accept JSON, in which `predict-batch` sends rows: use `predict`";
            return Err(CliError::Input(accepted.to_owned()));
        }
        let size = metadata.is_file().then_some(metadata.len());
        let mut input = if is_csv(verb) {
            BulkInput::csv(file).map_err(failed)?
        } else {
            BulkInput::json_lines(file, verb.rows.into(), BulkInput::takes_tables(manifest))
        };
        if let Some(rows) = verb.batch_rows {
            if verb.rows == LineForm::Request && !is_csv(verb) {
                let message = "`--batch-rows` groups rows, and `--rows request` says that each line is a whole request: remove one of them";
                return Err(CliError::Input(message.to_owned()));
            }
            input = input.with_batch_rows(rows);
        }
        Ok(Self { input, size })
    }
}

/// Returns the settings that a resumed run must share: they decide which requests are sent, and the lines of the output.
pub(super) fn run(
    verb: &PredictBatch,
    target: &Target,
    config: &Config,
    source: &Source,
) -> Result<Map<String, Value>, CliError> {
    let path = |path: &Path| std::path::absolute(path).map(|path| path.to_string_lossy().into_owned()).ok();
    let rows: mlflow_deploy::bulk::RowForm = verb.rows.into();
    let mut run = Map::new();
    let mut add = |name: &str, value: Value| run.insert(name.to_owned(), value);
    add("target", target.uri().to_string().into());
    add("--name", verb.resource.name.clone().into());
    add("--endpoint", verb.resource.endpoint.clone().into());
    add("size of the input", source.size.into());
    add("form of the input", if is_csv(verb) { "CSV".into() } else { format!("JSON Lines, {rows:?}").into() });
    add("--batch-rows", verb.batch_rows.map(std::num::NonZeroUsize::get).into());
    add("--unordered", verb.unordered.into());
    add("--errors", verb.errors.as_deref().and_then(path).into());
    for (key, value) in config.parse::<Map<String, Value>>().map_err(mlflow_deploy::Error::from)? {
        // A value may be a secret.
        add(&format!("--config {key}"), digest(&value.to_string()).into());
    }
    Ok(run)
}

/// Returns the path of the output; `None` for stdout.
pub(super) fn output_path(verb: &PredictBatch) -> Option<&Path> {
    verb.output_path.as_deref().filter(|path| *path != Path::new("-"))
}

/// Returns true if the run can be resumed after an interruption: its output is a file.
pub(super) fn is_resumable(verb: &PredictBatch) -> bool {
    output_path(verb).is_some_and(|path| fs::metadata(path).is_ok_and(|metadata| metadata.is_file()))
}

/// Returns true if a progress bar does not disturb the output: the output does not go to a terminal.
pub(super) fn may_draw(verb: &PredictBatch) -> bool {
    output_path(verb).is_some() || command::stdout().is_ok_and(|stdout| !stdout.is_terminal())
}

fn is_csv(verb: &PredictBatch) -> bool {
    let has_extension = || verb.input_path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    verb.content_type.map_or_else(has_extension, |content_type| content_type.is_csv())
}
