//! The names of the files in a state directory, and functions on them that the other modules share.

use std::fs::File;
use std::io;
use std::path::Path;

/// The file with all deployments and endpoints.
pub(super) const STATE: &str = "state.json";

/// The folder of all copies.
pub(super) const MODELS: &str = "models";

/// The file with the record of a copy.
pub(super) const RECORD: &str = "deployment.json";

/// The temporary file that becomes a record. One process writes at a time.
pub(super) const UNFINISHED_RECORD: &str = "deployment.json.new";

/// The prefix of the temporary files that become `state.json`. A crash may leave such a file.
pub(super) const UNFINISHED_STATE: &str = ".state-";

/// The number of letters and digits after that prefix.
pub(super) const UNFINISHED_DIGITS: usize = 6;

/// The number of hexadecimal digits in the id of a copy: 64 bits.
pub(super) const ID_DIGITS: usize = 16;

/// The command that rebuilds `state.json` from the copies.
pub(super) const REBUILD: &str = "mlflow-deploy invoke rebuild -t local";

/// Returns true if a name has the form of an id, which is never a path.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == ID_DIGITS && name.bytes().all(|each| matches!(each, b'0'..=b'9' | b'a'..=b'f'))
}

/// Writes a folder's entries to the disk, so that they survive a crash of the machine.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
