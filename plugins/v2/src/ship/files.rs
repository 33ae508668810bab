//! Reads the files of a model's folder. Follows no links, which may lead out of the folder.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use mlflow_deploy_plugin_api::{Error, Result, file};

use super::body::{LoadBody, too_large};

/// The maximum number of files and folders in a model.
const MAX_ENTRIES: usize = 10_000;

/// Returns the paths of all files below `folder`, relative to it and sorted, with `/` as the separator.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if a folder cannot be read, or has an entry that is neither a file nor a folder.
pub(super) fn list(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    let mut entries = 0;
    while let Some(parent) = folders.pop() {
        let failed = |error: std::io::Error| failed(&parent, &error.to_string());
        for entry in fs::read_dir(folder.join(&parent)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(Error::invalid_parameter(format!("the model has more than {MAX_ENTRIES} files")));
            }
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| self::failed(&parent, "it has a file whose name is not UTF-8"))?;
            let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
            let kind = entry.file_type().map_err(failed)?;
            match (kind.is_dir(), kind.is_file()) {
                (true, _) => folders.push(path),
                (_, true) => files.push(path),
                _ => return Err(self::failed(&path, "it is a link or a special file; replace it with the file")),
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Adds the file `path` of a model to a load request, as the file `target`.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the file cannot be read, or is too large.
pub(super) fn add(body: &mut LoadBody, folder: &Path, path: &str, target: &str) -> Result<()> {
    let limit = u64::try_from(body.free()).unwrap_or(u64::MAX);
    let bytes = file::read(&folder.join(path), limit).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => too_large(path),
        _ => failed(path, &error.to_string()),
    })?;
    body.add(target, &bytes)
}

fn failed(path: &str, reason: &str) -> Error {
    let path = if path.is_empty() { "." } else { path };
    Error::invalid_parameter(format!("failed to read `{path}` in the model's folder: {reason}"))
}
