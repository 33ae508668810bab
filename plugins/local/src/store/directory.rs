//! The state directory: reading what is deployed, and changing it one process at a time.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

use super::fault::fault;
use super::folder::{Folder, is_id};
use super::state::State;

/// How the files begin that are to become `state.json`, so that those that a crash left are known.
const UNFINISHED: &str = ".state-";

/// How many letters and digits follow.
const UNFINISHED_DIGITS: usize = 6;

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

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is deployed now, by whichever process. The file is read where it has changed, or has a date that
    /// another change could have too.
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
        self.change_and(change, || {})
    }

    /// As [`Self::change`], where `change` names a folder: it is kept as soon as the file names it, whatever fails then.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn deploy<T>(&self, folder: &Folder, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.change_and(change, || folder.keep())
    }

    fn change_and<T>(&self, change: impl FnOnce(&mut State) -> Result<T>, replaced: impl FnOnce()) -> Result<T> {
        let _lock = self.lock()?;
        let before = self.state()?;
        let mut after = State::clone(&before);
        let answer = change(&mut after)?;
        if after != *before {
            self.write(&after, replaced)?;
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
        if is_id(id) { Folder::open(&self.root.join("models").join(id)) } else { Ok(None) }
    }

    /// Waits until no other process changes anything. Each is done in a moment: models are copied and loaded before.
    fn lock(&self) -> Result<File> {
        make(&self.root).map_err(|error| fault("make the state directory", &self.root, &error))?;
        self.check_ours()?;
        let path = self.root.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let locked = lock.and_then(|file| match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let waiting = "waiting for another process, which changes what is deployed and holds";
                call::log(Level::Info, format!("{waiting} `{}`", path.display()));
                file.lock().map(|()| file)
            }
            Err(TryLockError::Error(error)) => Err(error),
        });
        locked.map_err(|error| fault("lock the state directory with", &path, &error))
    }

    /// Refuses a directory in which somebody else keeps something: what is garbage here is removed.
    fn check_ours(&self) -> Result<()> {
        let is_ours = |entry: &fs::DirEntry| ["lock", "state.json"].iter().any(|name| entry.file_name() == *name);
        // A disk of its own begins with a folder for what is found when it is repaired.
        let mut others = entries(&self.root).filter(|entry| entry.file_name() != "lost+found").peekable();
        if others.peek().is_none() || others.any(|entry| is_ours(&entry)) {
            return Ok(());
        }
        Err(Error::invalid_parameter(format!(
            "`{}` is no state directory: it has files, and no `state.json` among them; nothing was changed: choose a \
             directory that is empty or new with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
            self.root.display()
        )))
    }

    /// Replaces the file; `replaced` is called once it is there.
    fn write(&self, state: &State, replaced: impl FnOnce()) -> Result<()> {
        let path = self.root.join("state.json");
        let bytes = serde_json::to_vec_pretty(state)
            .map_err(|error| Error::internal(format!("failed to write down what is deployed: {error}")))?;
        let write = || {
            let mut file =
                tempfile::Builder::new().prefix(UNFINISHED).rand_bytes(UNFINISHED_DIGITS).tempfile_in(&self.root)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map_err(|error| fault("write", &path, &error))?;
        replaced();
        sync(&self.root).map_err(|error| {
            Error::new(
                ErrorCode::INTERNAL_ERROR,
                format!(
                    "the change was made, but the disk does not say that it would outlast a crash of the machine: failed \
                     to sync `{}`: {error}; check the disk, then what is deployed",
                    self.root.display()
                ),
            )
        })
    }

    /// Removes folders that no deployment names and nobody holds, and files that a crash left. What cannot be removed now
    /// is left for the next time, and what has another name than ours for good.
    fn sweep(&self, state: &State) {
        let named: BTreeSet<&str> = state.deployments.values().map(|deployment| deployment.folder.as_str()).collect();
        for entry in entries(&self.root.join("models")) {
            if entry.file_name().to_str().is_some_and(|name| is_id(name) && !named.contains(name)) {
                Folder::remove_unless_held(&entry.path());
            }
        }
        for entry in entries(&self.root) {
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
            let is_ours = digits.is_some_and(|digits| {
                digits.len() == UNFINISHED_DIGITS && digits.chars().all(|each| each.is_ascii_alphanumeric())
            });
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
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
    fn what_others_keep_there_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = |path: &str| root.path().join(path);
        fs::create_dir_all(path("models/precious")).unwrap();
        let directory = StateDirectory::new(root.path().to_owned());
        let error = directory.change(|_| Ok(())).unwrap_err();
        assert!(error.message().contains("is no state directory"), "{error}");
        assert!(!path("lock").exists());
        fs::write(path("lock"), "").unwrap();
        let theirs = [
            "models/precious/w",
            "models/0123456789abcdef/w",
            "models/0123456789ABCDEF/lock",
            ".state-of-things",
            "f/w",
        ];
        for file in theirs {
            fs::create_dir_all(path(file).parent().unwrap()).unwrap();
            fs::write(path(file), "").unwrap();
        }
        std::os::unix::fs::symlink(path("f"), path("models/00000000000000ff")).unwrap();
        // What a crash may leave of ours.
        fs::create_dir_all(path("models/0000000000000001/model/data")).unwrap();
        fs::create_dir_all(path("models/0000000000000002")).unwrap();
        fs::write(path(".state-aB3dEf"), "").unwrap();
        add(&directory, "a");
        for file in theirs {
            assert!(path(file).exists(), "{file}");
        }
        assert_eq!(entries(&path("models")).count(), 4);
        assert!(!path(".state-aB3dEf").exists());
    }

    #[test]
    fn a_file_that_is_damaged_or_newer_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::new(root.path().to_owned());
        let led_out = r#"{"format": 1, "endpoints": {}, "deployments": {"a": {"revision": "1", "folder": "../../x",
            "model_uri": "m", "flavor": "onnx", "config": {}, "creation_timestamp": 1, "last_updated_timestamp": 1}}}"#;
        for (text, said) in [
            ("{", "is damaged"),
            (r#"{"format": 2}"#, "was written by a later version, in format 2"),
            (led_out, "is damaged: the folder of `a` is `../../x`"),
        ] {
            fs::write(root.path().join("state.json"), text).unwrap();
            let error = directory.change(|_| Ok(())).unwrap_err();
            assert!(error.message().contains(said), "{error}");
            assert_eq!(fs::read_to_string(root.path().join("state.json")).unwrap(), text);
        }
    }
}
