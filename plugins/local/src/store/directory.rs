//! The state directory: reading what is deployed, and changing it one process at a time.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking, file};
use rustix::fs::OFlags;

use super::copies::{Copies, MODELS};
use super::fault::fault;
use super::folder::{Folder, is_id};
use super::state::State;
use super::sweep::{UNFINISHED, UNFINISHED_DIGITS};
use super::wait::{LOCK_WAIT, Wait, attempt};

/// The file that says what is deployed.
const STATE: &str = "state.json";

/// Bytes; more than any number of deployments needs.
const MAX_LEN: u64 = 64 << 20;

/// How what is deployed is made anew from the copies.
pub(super) const REBUILD: &str = "mlflow-deploy invoke rebuild -t local";

/// A directory, and what was last read from it.
pub(crate) struct StateDirectory {
    pub(super) root: PathBuf,
    last: Mutex<Option<(Stamp, Arc<State>)>>,
    wait: Wait,
}

/// The right to change what is deployed, until this is dropped.
pub(super) struct Lock {
    _file: File,
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
        Self { root, last: Mutex::default(), wait: LOCK_WAIT }
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is deployed now, by whichever process. The file is read where it has changed, or has a date that
    /// another change could have too.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` or `INTERNAL_ERROR` where the file cannot be read, `INVALID_STATE` where it is gone and there
    /// are copies of models.
    pub(crate) fn state(&self) -> Result<Arc<State>> {
        let path = self.root.join(STATE);
        let failed = |error: &io::Error| fault("read", &path, error);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match fs::metadata(&path) {
            Ok(found) => Stamp::of(&found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check_new()?;
                return Ok(Arc::default());
            }
            Err(error) => return Err(failed(&error)),
        };
        if let Some((stamp, state)) = &*last
            && *stamp == now
        {
            return Ok(Arc::clone(state));
        }
        let file = file::open(&path).map_err(|error| failed(&error))?;
        let stamp = Stamp::of(&file.metadata().map_err(|error| failed(&error))?);
        let bytes = file::read_up_to(file, MAX_LEN).map_err(|error| failed(&error))?;
        let state = Arc::new(State::parse(&bytes, &path.display().to_string())?);
        *last = stamp.is_settled().then(|| (stamp, Arc::clone(&state)));
        Ok(state)
    }

    /// Fails where there is no file, and yet something was deployed here: to take that for an empty directory would be to
    /// remove every model.
    fn check_new(&self) -> Result<()> {
        let path = self.root.join(STATE);
        self.check_no_link()?;
        let copies = Copies::of(&self.root)?;
        // The file is made before the first copy: where copies were found, it was looked for too early, or is gone.
        if copies.is_empty() || path.exists() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "`{}` is gone, and `{}` has {} that it named: nothing was changed; bring back a copy of the file, or make \
                 it anew from the copies with: {REBUILD}",
                path.display(),
                self.root.join(MODELS).display(),
                copies.counted(),
            ),
        ))
    }

    /// Fails where the file is a link that leads nowhere, as to a disk that is not there now.
    fn check_no_link(&self) -> Result<()> {
        let path = self.root.join(STATE);
        match fs::read_link(&path) {
            Ok(target) if !path.exists() => Err(Error::new(
                ErrorCode::new("INVALID_STATE"),
                format!(
                    "`{}` is a link to `{}`, which is not there: nothing was changed; bring that back, or remove the link",
                    path.display(),
                    target.display()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Changes what is deployed, while no other process does. What `change` refuses is not written. Garbage is removed
    /// along the way.
    ///
    /// # Errors
    /// What `change` answers, where the directory cannot be written, and where another process keeps it locked.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.deploy(change, || {}).await
    }

    /// As [`Self::change`]; `replaced` is called as soon as the file says what was changed, whatever fails then.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn deploy<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
        replaced: impl FnOnce() + Send + 'static,
    ) -> Result<T> {
        let lock = self.lock().await?;
        let this = Arc::clone(self);
        blocking(move || this.change_locked(&lock, change, replaced)).await
    }

    fn change_locked<T>(
        &self,
        lock: &Lock,
        change: impl FnOnce(&mut State) -> Result<T>,
        replaced: impl FnOnce(),
    ) -> Result<T> {
        let before = self.state()?;
        let mut after = State::clone(&before);
        let answer = change(&mut after)?;
        let copies = Copies::of(&self.root)?;
        if after != *before {
            // A copy with a record is one that the file names: the record goes before, and comes after.
            copies.retire(&before, &after);
            if let Err(error) = self.write(lock, &after, replaced) {
                copies.describe(&self.state().unwrap_or(before));
                return Err(error);
            }
        }
        copies.describe(&after);
        self.sweep(lock, &copies, &after);
        Ok(answer)
    }

    /// A new folder for a copy of a model. It is removed when it is dropped, unless it is kept.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub(crate) async fn new_folder(self: &Arc<Self>) -> Result<Folder> {
        // No other process sweeps while the folder is there and not yet held.
        let lock = self.lock().await?;
        let this = Arc::clone(self);
        blocking(move || {
            let state = this.state()?;
            if !this.root.join(STATE).exists() {
                this.write(&lock, &state, || {})?;
            }
            let models = this.root.join(MODELS);
            make(&models).map_err(|error| fault("make the directory", &models, &error))?;
            Folder::create(&models)
        })
        .await
    }

    /// The folder that a deployment names, held so that no process removes it; `None` where it is gone.
    ///
    /// # Errors
    /// Where it cannot be read, and where another process keeps it locked.
    pub(crate) async fn folder(&self, id: &str) -> Result<Option<Folder>> {
        if !is_id(id) {
            return Ok(None);
        }
        let path = self.root.join(MODELS).join(id);
        let lock = path.join("lock");
        self.wait.until(&lock, move || Folder::open(&path)).await
    }

    /// Waits until no other process changes anything. Each is done in a moment: models are copied and loaded before.
    pub(super) async fn lock(self: &Arc<Self>) -> Result<Lock> {
        let this = Arc::clone(self);
        blocking(move || {
            make(&this.root).map_err(|error| fault("make the state directory", &this.root, &error))?;
            this.check_ours()
        })
        .await?;
        let path = self.root.join("lock");
        let tried = path.clone();
        self.wait
            .until(&path, move || {
                // A pipe in its place is not waited for.
                let mut options = File::options();
                options.create(true).truncate(false).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
                let locked = options.open(&tried).and_then(|file| {
                    if attempt(file.try_lock())?.is_none() {
                        return Ok(None);
                    }
                    // A lock of a file that was removed meanwhile keeps no process out.
                    let is_there = fs::metadata(&tried)?.ino() == file.metadata()?.ino();
                    Ok(is_there.then_some(file))
                });
                let locked = locked.map_err(|error| fault("lock the state directory with", &tried, &error))?;
                Ok(locked.map(|file| Lock { _file: file }))
            })
            .await
    }

    /// Fails where the directory has files that are not this plugin's: what is garbage here is removed.
    fn check_ours(&self) -> Result<()> {
        let entries = fs::read_dir(&self.root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| fault("read the state directory", &self.root, &error))?;
        let is_ours = |entry: &fs::DirEntry| ["lock", STATE].iter().any(|name| entry.file_name() == *name);
        // A disk of its own begins with a folder for what is found when it is repaired.
        let is_new = entries.iter().all(|entry| entry.file_name() == "lost+found");
        if is_new || entries.iter().any(is_ours) || Copies::of(&self.root)?.has_records() {
            return Ok(());
        }
        Err(Error::invalid_parameter(format!(
            "`{}` is no state directory: it has files, and no `{STATE}` among them; nothing was changed: choose a \
             directory that is empty or new with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
            self.root.display()
        )))
    }

    /// Fails where the file is there.
    ///
    /// # Errors
    /// `INVALID_STATE`, and as [`Self::state`] where it cannot be read.
    pub(super) fn check_gone(&self) -> Result<()> {
        let path = self.root.join(STATE);
        self.check_no_link()?;
        if !path.exists() {
            return Ok(());
        }
        self.state()?;
        Err(Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "`{}` is there and whole: nothing was changed; move it away first, if the copies are to count instead",
                path.display()
            ),
        ))
    }

    /// Replaces the file; `replaced` is called once it is there.
    pub(super) fn write(&self, _lock: &Lock, state: &State, replaced: impl FnOnce()) -> Result<()> {
        let path = self.root.join(STATE);
        // What a link leads to is replaced, and not the link.
        let path = if path.is_symlink() { path.canonicalize().unwrap_or(path) } else { path };
        let folder = path.parent().unwrap_or(&self.root);
        let bytes = serde_json::to_vec_pretty(state)
            .map_err(|error| Error::internal(format!("failed to write down what is deployed: {error}")))?;
        let write = || {
            let mut file =
                tempfile::Builder::new().prefix(UNFINISHED).rand_bytes(UNFINISHED_DIGITS).tempfile_in(folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map_err(|error| fault("write", &path, &error))?;
        replaced();
        sync(folder).map_err(|error| {
            Error::new(
                ErrorCode::INTERNAL_ERROR,
                format!(
                    "the change was made, but the disk does not say that it would outlast a crash of the machine: failed \
                     to sync `{}`: {error}; check the disk, then what is deployed",
                    folder.display()
                ),
            )
        })
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

/// Makes a directory for the user alone: models may be private.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes sure that what was made in a folder is still there after a crash of the machine.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
