//! The state directory: reading what is deployed, and changing it one process at a time.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mlflow_deploy_plugin_api::{Error, Result};

use super::fault::fault;
use super::folder::Folder;
use super::state::State;

/// How the files begin that are to become `state.json`, so that those that a crash left are known.
const UNFINISHED: &str = ".state-";

/// A directory, and what was last read from it.
pub(crate) struct StateDirectory {
    root: PathBuf,
    last: Mutex<Option<(Stamp, Arc<State>)>>,
}

/// What tells one version of the file from another: each is a new file, though it may get the number of an older one.
#[derive(PartialEq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl StateDirectory {
    /// A directory, which need not exist yet.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, last: Mutex::default() }
    }

    /// What is deployed now, by whichever process. The file is read only where it has changed.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` or `INTERNAL_ERROR` where the file cannot be read.
    pub(crate) fn state(&self) -> Result<Arc<State>> {
        let path = self.root.join("state.json");
        let failed = |error: &io::Error| fault("read", &path, error);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match fs::metadata(&path) {
            Ok(found) => Stamp::of(&found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => return Err(failed(&error)),
        };
        if let Some((stamp, state)) = &*last
            && *stamp == now
        {
            return Ok(Arc::clone(state));
        }
        let mut file = File::open(&path).map_err(|error| failed(&error))?;
        let stamp = Stamp::of(&file.metadata().map_err(|error| failed(&error))?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        let state = Arc::new(State::parse(&bytes, &path.display().to_string())?);
        *last = stamp.is_settled().then(|| (stamp, Arc::clone(&state)));
        Ok(state)
    }

    /// Changes what is deployed, while no other process does. What `change` refuses is not written. Garbage is removed
    /// along the way. It blocks.
    ///
    /// # Errors
    /// What `change` answers, and where the directory cannot be written.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let _lock = self.lock()?;
        let before = self.state()?;
        let mut after = State::clone(&before);
        let answer = change(&mut after)?;
        if after != *before {
            self.write(&after)?;
        }
        self.sweep(&after);
        Ok(answer)
    }

    /// A new folder for a copy of a model. It is removed when it is dropped, unless it is kept.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub(crate) fn new_folder(&self) -> Result<Folder> {
        // Nobody sweeps while the folder is there and not yet held.
        let _lock = self.lock()?;
        let models = self.root.join("models");
        make(&models).map_err(|error| fault("make the directory", &models, &error))?;
        Folder::create(&models)
    }

    /// The folder that a deployment names, held so that nobody removes it; `None` where it is gone.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn folder(&self, id: &str) -> Result<Option<Folder>> {
        Folder::open(&self.root.join("models").join(id))
    }

    /// Waits until no other process changes anything. Each is done in a moment: models are copied and loaded before.
    fn lock(&self) -> Result<File> {
        make(&self.root).map_err(|error| fault("make the state directory", &self.root, &error))?;
        let path = self.root.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let locked = lock.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| fault("lock the state directory with", &path, &error))
    }

    fn write(&self, state: &State) -> Result<()> {
        let path = self.root.join("state.json");
        let bytes = serde_json::to_vec_pretty(state)
            .map_err(|error| Error::internal(format!("failed to write down what is deployed: {error}")))?;
        let write = || {
            let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.root)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync(&self.root)
        };
        write().map_err(|error| fault("write", &path, &error))
    }

    /// Removes folders that no deployment names and nobody holds, and files that a crash left. What cannot be removed now
    /// is left for the next time.
    fn sweep(&self, state: &State) {
        let named: BTreeSet<&str> = state.deployments.values().map(|deployment| deployment.folder.as_str()).collect();
        for entry in entries(&self.root.join("models")) {
            if entry.file_name().to_str().is_none_or(|name| !named.contains(name)) {
                Folder::remove_unless_held(&entry.path());
            }
        }
        for entry in entries(&self.root) {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
                let _left_for_the_next_time = fs::remove_file(entry.path());
            }
        }
    }
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        let changed = (found.ctime(), found.ctime_nsec());
        Self { inode: (found.dev(), found.ino()), size: found.size(), changed }
    }

    /// Whether a later version is certain to have another stamp: the clock of a file system goes in steps of some
    /// milliseconds, and within one step it could be the same.
    fn is_settled(&self) -> bool {
        const STEP: i128 = 100_000_000;
        let (seconds, nanoseconds) = self.changed;
        let changed = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i128::try_from(now.as_nanos()).is_ok_and(|now| now - changed > STEP)
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(folder).into_iter().flatten().filter_map(io::Result::ok)
}

/// Makes a directory for the user alone: models may be private.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes sure that what was made in a folder is still there after a crash of the machine.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Endpoint;

    fn add(directory: &StateDirectory, name: &str) {
        let added = directory.change(|state| Ok(state.endpoints.insert(name.to_owned(), Endpoint::default())));
        added.unwrap();
    }

    #[test]
    fn who_reads_sees_what_others_have_written() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| StateDirectory::new(folder.path().join("a/b")));
        assert_eq!(*other.state().unwrap(), State::default());
        for name in ["a", "b", "c"] {
            add(&one, name);
            assert!(other.state().unwrap().endpoints.contains_key(name));
        }
        assert_eq!(other.state().unwrap().endpoints.len(), 3);
    }

    #[test]
    fn what_is_refused_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let directory = StateDirectory::new(folder.path().to_owned());
        add(&directory, "a");
        let refused = directory.change(|state| {
            state.endpoints.clear();
            Err::<(), _>(Error::internal("no"))
        });
        assert_eq!(refused.unwrap_err().message(), "no");
        assert_eq!(directory.state().unwrap().endpoints.len(), 1);
    }

    #[test]
    fn a_folder_is_swept_once_nobody_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::new(root.path().to_owned());
        let folder = directory.new_folder().unwrap();
        folder.keep();
        let (id, path) = (folder.id().to_owned(), folder.model());
        fs::create_dir(&path).unwrap();
        add(&directory, "a");
        assert!(path.exists(), "it is held");
        let again = directory.folder(&id).unwrap().unwrap();
        drop(folder);
        add(&directory, "b");
        assert!(path.exists(), "it is held by another");
        drop(again);
        add(&directory, "c");
        assert!(!path.exists());
        assert!(directory.folder(&id).unwrap().is_none());
    }

    #[test]
    fn a_file_that_is_damaged_or_newer_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::new(root.path().to_owned());
        for (text, said) in [("{", "is damaged"), (r#"{"format": 2}"#, "was written by a later version, in format 2")] {
            fs::write(root.path().join("state.json"), text).unwrap();
            let error = directory.change(|_| Ok(())).unwrap_err();
            assert!(error.message().contains(said), "{error}");
            assert_eq!(fs::read_to_string(root.path().join("state.json")).unwrap(), text);
        }
    }
}
