//! Tells if a run that is resumed has been complete before, so that `--resume` may be repeated.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use mlflow_deploy::bulk::BulkFiles;
use mlflow_deploy::manifest::Manifest;

use super::settings::{Source, output_path};
use crate::args::PredictBatch;
use crate::report::CliError;

/// Returns true if a run is resumed that is complete: its output has no journal, and a line for each row of the input. An
/// input that is not a file cannot be read twice, so its run is never complete.
pub(super) fn is_complete(verb: &PredictBatch, manifest: &Manifest) -> Result<bool, CliError> {
    let Some(output) = output_path(verb).filter(|_| verb.resume && verb.input_path.is_file()) else { return Ok(false) };
    if !output.is_file() || BulkFiles::journal_of(output).exists() {
        return Ok(false);
    }
    let failed =
        |path: &Path, error: io::Error| CliError::Input(format!("failed to read `{}`: {error}", path.display()));
    let lines = count_lines(output).map_err(|error| failed(output, error))?;
    if lines == 0 {
        return Ok(false);
    }
    let requests = Source::open(verb, manifest)?.input;
    let rows = requests.map(|request| Ok(request?.rows())).sum::<io::Result<usize>>();
    Ok(rows.map_err(|error| failed(&verb.input_path, error))? == lines)
}

fn count_lines(path: &Path) -> io::Result<usize> {
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
    let mut lines = 0;
    while reader.skip_until(b'\n')? > 0 {
        lines += 1;
    }
    Ok(lines)
}
