//! Reads a verb's input from a file or stdin, and converts tables to a media type that the target accepts.

use std::fs::File;
use std::path::Path;

use mlflow_deploy::inputs::TableInputs;
use mlflow_deploy::manifest::Manifest;
use mlflow_deploy::{JSON, Payload, command};
use mlflow_deploy_plugin_api::ffi::MAX_MESSAGE_BYTES;
use mlflow_deploy_plugin_api::file;

use crate::args::InputsFormat;
use crate::pandas;
use crate::report::CliError;

const CSV: &str = "text/csv";
const TEXT: &str = "text/plain";

/// The maximum size of an input in bytes. It is the maximum size of a message to a plugin.
const MAX_BYTES: u64 = MAX_MESSAGE_BYTES as u64;

/// Reads an input from a file, or from stdin if the path is `-`. Without `content_type`, the file extension selects the
/// media type.
pub(crate) fn read(path: &Path, content_type: Option<&str>) -> Result<Payload, CliError> {
    let file = if path == Path::new("-") { command::stdin() } else { File::open(path) };
    let read = file.and_then(|file| {
        // Fails before reading if the file is too large. The size of a pipe is unknown until it is read.
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        if length > MAX_BYTES { Err(file::too_large(MAX_BYTES)) } else { file::read_up_to(file, MAX_BYTES) }
    });
    let failed = |error| CliError::Input(format!("failed to read the input `{}`: {error}", path.display()));
    let bytes = read.map_err(failed)?;
    let is_csv = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let content_type = match content_type.map(str::trim) {
        Some(csv) if csv.eq_ignore_ascii_case("csv") => CSV,
        Some(json) if json.eq_ignore_ascii_case("json") => JSON,
        Some(other) => other,
        None if is_csv(path) => CSV,
        None => JSON,
    };
    let input = Payload::new(content_type, bytes);
    // A byte order mark is not part of the text, and JSON does not permit it.
    if input.is_json() {
        return Ok(Payload::new(content_type, file::text(input.into_bytes()).map_err(failed)?));
    }
    if input.media_type().starts_with("text/") {
        return Ok(Payload::new(content_type, file::without_byte_order_mark(input.bytes())));
    }
    Ok(input)
}

/// Converts a table to `dataframe_split`. A table is CSV that the target does not accept, or JSON that `format`
/// declares to be a table. Returns other inputs unchanged.
pub(crate) fn convert_for(inputs: Payload, format: InputsFormat, manifest: &Manifest) -> Result<Payload, CliError> {
    let is_table = match format {
        InputsFormat::Raw => return Ok(inputs),
        InputsFormat::Pandas => inputs.media_type() == JSON,
        // A target that accepts CSV takes tables; one that accepts plain text may also take chat.
        InputsFormat::Auto => {
            manifest.accepts_type(CSV)
                && !manifest.accepts_type(TEXT)
                && inputs.media_type() == JSON
                && pandas::is_table(inputs.bytes())
        }
    };
    if inputs.media_type() == CSV {
        let converted = Payload::from_csv(inputs.bytes(), manifest);
        let converted = converted.map_err(|error| CliError::Input(error.message().to_owned()))?;
        return Ok(if converted.is_json() { converted } else { inputs });
    }
    if !is_table {
        return Ok(inputs);
    }
    let split = pandas::dataframe_split(inputs.bytes())
        .map_err(|error| CliError::Input(format!("failed to read the input as a table of pandas: {error}")))?;
    Ok(Payload::new(JSON, split))
}
