//! The names of the files in a state directory, and functions for these names and folders.

use std::fs::File;
use std::io;
use std::path::Path;

/// The name of the file that contains all deployments and endpoints.
pub(super) const STATE: &str = "state.json";

/// The name of the folder that contains all copied models.
pub(super) const MODELS: &str = "models";

/// The name of the file that describes the deployment of a copied model.
pub(super) const RECORD: &str = "deployment.json";

/// The name of the temporary file that is renamed to `deployment.json`. Only one process writes it at a time.
pub(super) const UNFINISHED_RECORD: &str = "deployment.json.new";

/// The prefix of the temporary files that are renamed to `state.json`. A crashed process may leave such a file.
pub(super) const UNFINISHED_STATE: &str = ".state-";

/// The number of letters and digits after the prefix `.state-` in the name of a temporary file.
pub(super) const UNFINISHED_DIGITS: usize = 6;

/// The number of hexadecimal digits in the name of a copied model's folder. The digits encode 64 random bits.
pub(super) const ID_DIGITS: usize = 16;

/// The command that rebuilds `state.json` from the copied models.
pub(super) const REBUILD: &str = "mlflow-deploy invoke rebuild -t local";

/// Returns true if `name` has the form of a copied model's folder name: 16 lowercase hexadecimal digits.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == ID_DIGITS && name.bytes().all(|each| matches!(each, b'0'..=b'9' | b'a'..=b'f'))
}

/// Writes the directory entries of a folder to the disk, so that they survive a crash of the machine.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
