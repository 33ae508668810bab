//! Reads and writes the small files in the user's state folder, `$XDG_STATE_HOME/mlflow-deploy`. A file that another user
//! could have written counts as missing.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{file, trust};

/// Returns the state folder of the user; `None` if the environment specifies none. `variable` looks up an environment
/// variable.
pub(crate) fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let state = || variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state")).filter(|path| path.is_absolute());
    Some(state().or_else(home)?.join("mlflow-deploy"))
}

/// Reads a file. Returns `None` if another user could have written it.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    /// The maximum size of a file in bytes. A file is smaller, because it holds only a path and a line of text.
    const MAX_BYTES: u64 = 64 << 10;
    let bytes = file::read(path, MAX_BYTES).ok()?;
    trust::check(path).ok().map(|_| bytes)
}

/// Writes a file atomically, in a folder that only the user can read. Does not flush the file to disk, because a file
/// that a power failure damages counts as missing.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_in_the_state_folder_of_the_user() {
        let folder =
            |name: &'static str, value: &'static str| folder(move |variable| (variable == name).then(|| value.into()));
        assert_eq!(folder("XDG_STATE_HOME", "/state"), Some(PathBuf::from("/state/mlflow-deploy")));
        assert_eq!(folder("HOME", "/home/u"), Some(PathBuf::from("/home/u/.local/state/mlflow-deploy")));
        assert_eq!(folder("XDG_STATE_HOME", "state"), None);
    }
}
