//! Reads and changes the state directory. Only one process changes it at a time.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking, file, sync as locks};
use rustix::fs::OFlags;

use super::copies::Copies;
use super::folder::Folder;
use super::io_error::io_error;
use super::layout::{MODELS, REBUILD, STATE, UNFINISHED_DIGITS, UNFINISHED_STATE, is_id, sync};
use super::state::State;
use super::wait::{LOCK_WAIT, LockWait, attempt};

/// The maximum size of `state.json`, in bytes.
const MAX_STATE_BYTES: u64 = 64 << 20;

/// A state directory, and a cache of the state that was last read from it.
pub(crate) struct StateDirectory {
    pub(super) root: PathBuf,
    last: Mutex<Option<(StateVersion, Arc<State>)>>,
    wait: LockWait,
}

/// The exclusive lock of the state directory. While this value exists, no other process changes the state.
pub(super) struct StateLock {
    _file: File,
}

/// Identifies a version of `state.json` by its file metadata. Each change creates a new file, but the file system may
/// reuse the inode of an older one.
#[derive(PartialEq)]
struct StateVersion {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl StateDirectory {
    /// Creates a `StateDirectory` for the path `root`. The directory need not exist.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, last: Mutex::default(), wait: LOCK_WAIT }
    }

    /// Returns the path of the state directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the current state, including changes by other processes. Reads `state.json` only if the cached state may
    /// be outdated: the file has changed, or it was so recent at the last read that a later change could have the same
    /// timestamp.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` or `INTERNAL_ERROR` if the file cannot be read; `INVALID_STATE` if the file is missing
    /// although the directory contains copied models.
    pub(crate) fn state(&self) -> Result<Arc<State>> {
        let path = self.root.join(STATE);
        let failed = |error: &io::Error| io_error("read", &path, error);
        let mut last = locks::lock(&self.last);
        let current = match fs::metadata(&path) {
            Ok(metadata) => StateVersion::of(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check_new()?;
                return Ok(Arc::default());
            }
            Err(error) => return Err(failed(&error)),
        };
        if let Some((version, state)) = &*last
            && *version == current
        {
            return Ok(Arc::clone(state));
        }
        let file = file::open(&path).map_err(|error| failed(&error))?;
        let version = StateVersion::of(&file.metadata().map_err(|error| failed(&error))?);
        let bytes = file::read_up_to(file, MAX_STATE_BYTES).map_err(|error| failed(&error))?;
        let state = Arc::new(State::parse(&bytes, &path.display().to_string())?);
        *last = version.is_settled().then(|| (version, Arc::clone(&state)));
        Ok(state)
    }

    /// Fails if the directory contains copied models although `state.json` is missing. With an empty state, all these
    /// models would be removed as garbage.
    fn check_new(&self) -> Result<()> {
        let path = self.root.join(STATE);
        self.check_link()?;
        let copies = Copies::of(&self.root)?;
        // The file is created before the first copy. If copies exist, either it was created after the first check, or
        // it is lost.
        if copies.is_empty() || path.exists() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "`{}` is missing, but `{}` has {}: nothing was changed; restore the file from a backup, or rebuild it \
                 from the copies with: {REBUILD}",
                path.display(),
                self.root.join(MODELS).display(),
                copies.describe_count(),
            ),
        ))
    }

    /// Fails if `state.json` is a symbolic link to a missing file, for example on a disk that is not mounted.
    fn check_link(&self) -> Result<()> {
        let path = self.root.join(STATE);
        match fs::read_link(&path) {
            Ok(target) if !path.exists() => Err(Error::new(
                ErrorCode::new("INVALID_STATE"),
                format!(
                    "`{}` is a link to `{}`, which does not exist: nothing was changed; restore its target, or remove \
                     the link",
                    path.display(),
                    target.display()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Locks the directory, calls `change` with the state, and saves the changed state. Then removes copied models that
    /// no deployment uses. Writes nothing if `change` fails.
    ///
    /// # Errors
    /// Fails if `change` fails, or if the directory cannot be written; `TEMPORARILY_UNAVAILABLE` if another process
    /// holds the lock for too long.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.deploy(change, || {}).await
    }

    /// Changes the state as [`Self::change`] does. Calls `replaced` as soon as `state.json` has been replaced, even if
    /// a later step fails.
    ///
    /// # Errors
    /// Fails as [`Self::change`] does.
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
        lock: &StateLock,
        change: impl FnOnce(&mut State) -> Result<T>,
        replaced: impl FnOnce(),
    ) -> Result<T> {
        let before = self.state()?;
        let mut after = State::clone(&before);
        let answer = change(&mut after)?;
        let copies = Copies::of(&self.root)?;
        if after != *before {
            // Only a copy that the file names may have a record: records are removed before the change and added after
            // it.
            copies.remove_records(&before, &after);
            if let Err(error) = self.write(lock, &after, replaced) {
                copies.write_records(&self.state().unwrap_or(before));
                return Err(error);
            }
        }
        copies.write_records(&after);
        self.sweep(lock, &copies, &after);
        Ok(answer)
    }

    /// Creates a folder for a copied model, and locks it. Dropping the result removes the folder, unless
    /// [`Folder::keep`] was called.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written or locked.
    pub(crate) async fn new_folder(self: &Arc<Self>) -> Result<Folder> {
        // Until this process holds the folder, the lock keeps other processes from removing it as garbage.
        let lock = self.lock().await?;
        let this = Arc::clone(self);
        blocking(move || {
            let state = this.state()?;
            if !this.root.join(STATE).exists() {
                this.write(&lock, &state, || {})?;
            }
            let models = this.root.join(MODELS);
            create_private(&models).map_err(|error| io_error("create the directory", &models, &error))?;
            Folder::create(&models)
        })
        .await
    }

    /// Opens and locks the folder of a copied model, so that no process removes it. Returns `None` if the folder does
    /// not exist.
    ///
    /// # Errors
    /// Fails if the folder cannot be read; `TEMPORARILY_UNAVAILABLE` if another process holds its lock for too long.
    pub(crate) async fn folder(&self, id: &str) -> Result<Option<Folder>> {
        if !is_id(id) {
            return Ok(None);
        }
        let path = self.root.join(MODELS).join(id);
        let lock = path.join("lock");
        self.wait.until(&lock, move || Folder::open(&path)).await
    }

    /// Locks the state directory. Waits while another process holds the lock. Processes hold it only for a short time,
    /// because they copy and load models before they change the state.
    pub(super) async fn lock(self: &Arc<Self>) -> Result<StateLock> {
        let this = Arc::clone(self);
        blocking(move || {
            create_private(&this.root).map_err(|error| io_error("create the state directory", &this.root, &error))?;
            this.check_owned()
        })
        .await?;
        let path = self.root.join("lock");
        let file = path.clone();
        self.wait
            .until(&path, move || {
                // Opening a pipe at this path would block.
                let mut options = File::options();
                options.create(true).truncate(false).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
                let locked = options.open(&file).and_then(|lock| {
                    if attempt(lock.try_lock())?.is_none() {
                        return Ok(None);
                    }
                    // If the file was removed in the meantime, the lock does not keep other processes out.
                    let is_current = fs::metadata(&file)?.ino() == lock.metadata()?.ino();
                    Ok(is_current.then_some(lock))
                });
                let locked = locked.map_err(|error| io_error("lock the state directory with", &file, &error))?;
                Ok(locked.map(|file| StateLock { _file: file }))
            })
            .await
    }

    /// Fails if the directory contains files but no state. Such a directory may belong to another program, whose files
    /// must not be removed.
    fn check_owned(&self) -> Result<()> {
        let entries = fs::read_dir(&self.root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| io_error("read the state directory", &self.root, &error))?;
        let is_ours = |entry: &fs::DirEntry| ["lock", STATE].iter().any(|name| entry.file_name() == *name);
        // A new ext4 file system has the folder `lost+found`.
        let is_new = entries.iter().all(|entry| entry.file_name() == "lost+found");
        if is_new || entries.iter().any(is_ours) || Copies::of(&self.root)?.has_records() {
            return Ok(());
        }
        Err(Error::invalid_parameter(format!(
            "`{}` is not a state directory: it has files, but no `{STATE}`; nothing was changed: choose an empty or \
             new directory with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
            self.root.display()
        )))
    }

    /// Fails if `state.json` exists, so that a rebuild never replaces it.
    ///
    /// # Errors
    /// `INVALID_STATE` if the file exists and is valid. Fails as [`Self::state`] does if the file is damaged or cannot
    /// be read.
    pub(super) fn check_missing(&self) -> Result<()> {
        let path = self.root.join(STATE);
        self.check_link()?;
        if !path.exists() {
            return Ok(());
        }
        self.state()?;
        Err(Error::new(
            ErrorCode::new("INVALID_STATE"),
            format!(
                "`{}` exists and is valid: nothing was changed; to rebuild it from the copies, move it away first",
                path.display()
            ),
        ))
    }

    /// Replaces `state.json` with a new file that contains `state`. Calls `replaced` as soon as the file has been
    /// replaced.
    pub(super) fn write(&self, _lock: &StateLock, state: &State, replaced: impl FnOnce()) -> Result<()> {
        let path = self.root.join(STATE);
        // If the file is a link, the target is replaced and the link stays.
        let path = if path.is_symlink() { path.canonicalize().unwrap_or(path) } else { path };
        let folder = path.parent().unwrap_or(&self.root);
        let bytes = serde_json::to_vec_pretty(state)
            .map_err(|error| Error::internal(format!("failed to serialize the state: {error}")))?;
        let write = || {
            let mut file =
                tempfile::Builder::new().prefix(UNFINISHED_STATE).rand_bytes(UNFINISHED_DIGITS).tempfile_in(folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map_err(|error| io_error("write", &path, &error))?;
        replaced();
        sync(folder).map_err(|error| {
            Error::new(
                ErrorCode::INTERNAL_ERROR,
                format!(
                    "the change was made, but may be lost if the machine crashes: failed to sync `{}`: {error}; check \
                     the disk, then list the deployments",
                    folder.display()
                ),
            )
        })
    }
}

impl StateVersion {
    fn of(metadata: &fs::Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: (metadata.dev(), metadata.ino()), size: metadata.size(), changed }
    }

    /// Returns true if each later version of the file must have another timestamp. The clock of a file system has steps
    /// of several milliseconds, so two changes within one step can have the same timestamp.
    fn is_settled(&self) -> bool {
        const STEP: i128 = 100_000_000;
        let (seconds, nanoseconds) = self.changed;
        let changed = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i128::try_from(now.as_nanos()).is_ok_and(|now| now - changed > STEP)
    }
}

/// Creates a directory that only the current user can read, because models may be private.
fn create_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
