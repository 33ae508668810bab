//! Puts a text into a file. Never leaves half of it, and nothing beside it.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::TargetError;

/// Writes the file as a whole, or leaves it as it was.
pub(super) fn save(path: &Path, text: &str) -> Result<(), TargetError> {
    replace(path, text)
        .map_err(|error| TargetError::invalid_parameter(format!("failed to write `{}`: {error}", path.display())))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let there = fs::metadata(path).ok();
    // A device or a pipe is written to, and stays what it is; a folder answers that it is one.
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    // A link stays a link.
    let real = path.canonicalize().unwrap_or_else(|_new| path.to_owned());
    let folder = real.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    if let Some(there) = there {
        file.as_file().set_permissions(there.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&real)?;
    Ok(())
}
