//! Reads the recordings of MLflow's clients and servers, and the results of replays.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command::Ran;

/// Returns the recordings in the files whose names begin with `prefix`, ordered by file name.
pub(crate) fn recordings(prefix: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = |path: &&std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
    // Python writes `NaN`, which is not JSON.
    let read = |path| fs::read_to_string(path).unwrap().replace(": NaN", ": null");
    files.iter().filter(named).map(|path| serde_json::from_str(&read(path)).unwrap()).collect()
}

/// Returns the JSON result of a run of the command, or the JSON error of a run that failed.
pub(super) fn outcome(ran: &Ran) -> Result<Value, Value> {
    if ran.code == 0 { Ok(ran.json()) } else { Err(ran.error()) }
}
