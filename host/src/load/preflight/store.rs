//! What is remembered of files that were loaded once: how that went, by the SHA-256 of what is in them.
//!
//! | below `$XDG_STATE_HOME/mlflow-deploy` | |
//! |---|---|
//! | `files/DEVICE-INODE` | the file's identity, and the SHA-256 that it had: so that it need not be read again |
//! | `verdicts/SHA256.json` | how its first load went |
//!
//! What cannot be read counts as not known, and what cannot be written is not remembered: a trial too many does no harm.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{file, trust};
use serde::{Deserialize, Serialize};

use crate::discovery::digest::{Digest, Identity};

/// The memory; without a folder nothing is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadStore(Option<PathBuf>);

/// How a file's first load went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// The file, where it was then.
    pub(crate) file: PathBuf,
    /// Why it is not loaded again; none where it could be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quarantined: Option<String>,
}

impl LoadStore {
    /// A memory in this folder, else below the user's, as the environment says.
    pub(crate) fn new(given: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let state = || variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state")).filter(|path| path.is_absolute());
        Self(given.or_else(|| Some(state().or_else(home)?.join("mlflow-deploy"))))
    }

    /// The SHA-256 of a file that was read before and has not changed since.
    pub(crate) fn digest(&self, identity: &Identity) -> Option<Digest> {
        let text = String::from_utf8(read(&self.file(identity)?)?).ok()?;
        let (known, digest) = text.trim_end().split_once(' ')?;
        (known == identity.to_string()).then(|| digest.parse().ok())?
    }

    /// Remembers the SHA-256 of a file.
    pub(crate) fn keep_digest(&self, identity: &Identity, digest: &Digest) {
        if let Some(path) = self.file(identity) {
            let _forgotten = write(&path, format!("{identity} {digest}\n").as_bytes());
        }
    }

    /// How the first load went of what has this SHA-256.
    pub(crate) fn verdict(&self, digest: &Digest) -> Option<Verdict> {
        serde_json::from_slice(&read(&self.judged(digest)?)?).ok()
    }

    /// Remembers how a first load went.
    pub(crate) fn keep_verdict(&self, digest: &Digest, verdict: &Verdict) {
        if let (Some(path), Ok(json)) = (self.judged(digest), serde_json::to_vec(verdict)) {
            let _forgotten = write(&path, &json);
        }
    }

    /// Forgets how it went.
    ///
    /// # Errors
    /// Those of removing the note; one that is not there is no error.
    pub(crate) fn forget_verdict(&self, digest: &Digest) -> io::Result<()> {
        match self.judged(digest).map(fs::remove_file) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn file(&self, identity: &Identity) -> Option<PathBuf> {
        let (device, inode) = identity.file_id();
        Some(self.0.as_ref()?.join("files").join(format!("{device:x}-{inode}")))
    }

    fn judged(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.0.as_ref()?.join("verdicts").join(format!("{digest}.json")))
    }
}

/// Reads a note; `None` also where another user could have written it.
fn read(path: &Path) -> Option<Vec<u8>> {
    /// More than any note has: paths and a last line of a log.
    const MAX_BYTES: u64 = 64 << 10;
    let bytes = file::read(path, MAX_BYTES).ok()?;
    trust::check(path).ok().map(|_| bytes)
}

/// Writes a file whole or not at all, in a folder that only the user can look into. It is not forced to the disk, for
/// whatever a power cut leaves of it counts as not known.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::discovery::digest::Measured;

    #[test]
    fn what_is_kept_is_known_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.so");
        fs::write(&path, "abc").unwrap();
        let Measured { digest, identity } = Measured::of(&File::open(&path).unwrap()).unwrap();
        let memory = LoadStore::new(Some(folder.path().join("state")), |_| None);
        assert_eq!((memory.digest(&identity), memory.verdict(&digest)), (None, None));
        memory.keep_digest(&identity, &digest);
        let verdict = Verdict { file: path.clone(), quarantined: Some("it crashed".to_owned()) };
        memory.keep_verdict(&digest, &verdict);
        assert_eq!((memory.digest(&identity), memory.verdict(&digest)), (Some(digest), Some(verdict)));
        memory.forget_verdict(&digest).unwrap();
        memory.forget_verdict(&digest).unwrap();
        assert_eq!(memory.verdict(&digest), None);
        fs::write(&path, "abcd").unwrap();
        assert_eq!(memory.digest(&Identity::at(&path).unwrap()), None);
    }

    #[test]
    fn garbage_is_not_known_and_a_folder_that_cannot_be_made_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "abc").unwrap();
        let Measured { digest, identity } = Measured::of(&File::open(&path).unwrap()).unwrap();
        let memory = LoadStore::new(Some(folder.path().to_owned()), |_| None);
        memory.keep_digest(&identity, &digest);
        for garbage in ["", "\n", "a b", &format!("{identity} abc"), &format!("{identity}{digest}")] {
            fs::write(memory.file(&identity).unwrap(), garbage).unwrap();
            assert_eq!(memory.digest(&identity), None, "{garbage}");
        }
        let nowhere = LoadStore::new(Some(path), |_| None);
        nowhere.keep_digest(&identity, &digest);
        assert_eq!(nowhere.digest(&identity), None);
        assert_eq!(LoadStore::new(None, |_| None).digest(&identity), None);
    }

    #[test]
    fn it_is_below_the_user_s_state() {
        let memory = |name: &'static str, value: &'static str| {
            LoadStore::new(None, move |asked| (asked == name).then(|| value.into())).0
        };
        assert_eq!(memory("XDG_STATE_HOME", "/state"), Some(PathBuf::from("/state/mlflow-deploy")));
        assert_eq!(memory("HOME", "/home/u"), Some(PathBuf::from("/home/u/.local/state/mlflow-deploy")));
        assert_eq!(memory("XDG_STATE_HOME", "state"), None);
    }
}
