//! Stores the outcome of each file's first load. The key is the SHA-256 of the file.
//!
//! | below `$XDG_STATE_HOME/mlflow-deploy` | |
//! |---|---|
//! | `files/DEVICE-INODE` | the identity of a file and its SHA-256, so that an unchanged file is not hashed again |
//! | `verdicts/SHA256.json` | the outcome of the first load |
//!
//! An entry that cannot be read counts as missing, and write errors are ignored, because an unnecessary preflight does
//! no harm.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::discovery::digest::{Digest, Identity};
use crate::state_file::{self, read, write};

/// The store of first-load outcomes, in a folder. A store without a folder is empty and stores nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadStore(Option<PathBuf>);

/// The outcome of the first load of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoadOutcome {
    /// The path of the file when it was first loaded.
    pub(crate) file: PathBuf,
    /// The reason why the file is not loaded again; `None` if the first load succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quarantined: Option<String>,
}

impl LoadStore {
    /// Returns a store in `folder`, or else in the user's state folder. `variable` looks up an environment variable.
    pub(crate) fn new(folder: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        Self(folder.or_else(|| state_file::folder(variable)))
    }

    /// Returns the stored SHA-256 of a file; `None` if it is not stored, or if the file has changed since.
    pub(crate) fn digest(&self, identity: &Identity) -> Option<Digest> {
        let text = String::from_utf8(read(&self.digest_path(identity)?)?).ok()?;
        let (known, digest) = text.trim_end().split_once(' ')?;
        (known == identity.to_string()).then(|| digest.parse().ok())?
    }

    /// Stores the SHA-256 of the file with this identity.
    pub(crate) fn keep_digest(&self, identity: &Identity, digest: &Digest) {
        if let Some(path) = self.digest_path(identity) {
            let _not_stored = write(&path, format!("{identity} {digest}\n").as_bytes());
        }
    }

    /// Returns the stored outcome of the first load of the file with this SHA-256.
    pub(crate) fn outcome(&self, digest: &Digest) -> Option<LoadOutcome> {
        serde_json::from_slice(&read(&self.outcome_path(digest)?)?).ok()
    }

    /// Stores the outcome of the first load of the file with this SHA-256.
    pub(crate) fn keep_outcome(&self, digest: &Digest, outcome: &LoadOutcome) {
        if let (Some(path), Ok(json)) = (self.outcome_path(digest), serde_json::to_vec(outcome)) {
            let _not_stored = write(&path, &json);
        }
    }

    /// Removes the stored outcome of the first load of the file with this SHA-256.
    ///
    /// # Errors
    /// Fails if the entry exists and cannot be removed.
    pub(crate) fn forget_outcome(&self, digest: &Digest) -> io::Result<()> {
        match self.outcome_path(digest).map(fs::remove_file) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn digest_path(&self, identity: &Identity) -> Option<PathBuf> {
        let (device, inode) = identity.file_id();
        Some(self.0.as_ref()?.join("files").join(format!("{device:x}-{inode}")))
    }

    fn outcome_path(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.0.as_ref()?.join("verdicts").join(format!("{digest}.json")))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::discovery::digest::Measured;

    #[test]
    fn a_digest_is_known_until_the_file_changes_and_an_outcome_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.so");
        fs::write(&path, "abc").unwrap();
        let Measured { digest, identity, .. } = Measured::of(&File::open(&path).unwrap()).unwrap();
        let store = LoadStore::new(Some(folder.path().join("state")), |_| None);
        assert_eq!((store.digest(&identity), store.outcome(&digest)), (None, None));
        store.keep_digest(&identity, &digest);
        let outcome = LoadOutcome { file: path.clone(), quarantined: Some("it crashed".to_owned()) };
        store.keep_outcome(&digest, &outcome);
        assert_eq!((store.digest(&identity), store.outcome(&digest)), (Some(digest), Some(outcome)));
        store.forget_outcome(&digest).unwrap();
        store.forget_outcome(&digest).unwrap();
        assert_eq!(store.outcome(&digest), None);
        fs::write(&path, "abcd").unwrap();
        assert_eq!(store.digest(&Identity::at(&path).unwrap()), None);
    }

    #[test]
    fn damaged_entries_and_a_folder_that_cannot_be_created_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "abc").unwrap();
        let Measured { digest, identity, .. } = Measured::of(&File::open(&path).unwrap()).unwrap();
        let store = LoadStore::new(Some(folder.path().to_owned()), |_| None);
        store.keep_digest(&identity, &digest);
        for garbage in ["", "\n", "a b", &format!("{identity} abc"), &format!("{identity}{digest}")] {
            fs::write(store.digest_path(&identity).unwrap(), garbage).unwrap();
            assert_eq!(store.digest(&identity), None, "{garbage}");
        }
        let unusable = LoadStore::new(Some(path), |_| None);
        unusable.keep_digest(&identity, &digest);
        assert_eq!(unusable.digest(&identity), None);
        assert_eq!(LoadStore::new(None, |_| None).digest(&identity), None);
    }
}
