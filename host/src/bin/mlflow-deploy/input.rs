//! Reads a verb's input from a file or stdin.

use std::io::Read;
use std::path::Path;

use mlflow_deploy::Payload;

use crate::report::Failure;

/// Reads an input. Its media type is the one given, or what the file's name says.
pub(crate) fn read(path: &Path, content_type: Option<String>) -> Result<Payload, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::Input(format!("failed to read the input `{}`: {error}", path.display())))?;
    let by_name =
        || if path.extension().is_some_and(|extension| extension == "csv") { "text/csv" } else { "application/json" };
    Ok(Payload::new(content_type.unwrap_or_else(|| by_name().to_owned()), bytes))
}
