//! The folder of a copied model, and the lock of that folder.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::{Error, Result, file};

use super::io_error::io_error;
use super::layout::{ID_DIGITS, UNFINISHED_RECORD, sync};
use super::wait::attempt;

/// The prefix of the temporary folder into which a model is downloaded.
const UNFINISHED_FETCH: &str = ".fetching-";

/// The locked folder of a copied model. No other process removes the folder while this value exists.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The file that is locked in shared mode. The system releases the lock when the process ends, even if it crashes.
    _lock: File,
    is_kept: AtomicBool,
}

impl Folder {
    /// Creates a folder with a random, unique name below `models`. The caller must hold the lock of the state
    /// directory.
    pub(super) fn create(models: &Path) -> Result<Self> {
        for _ in 0..100 {
            let path = models.join(format!("{:0ID_DIGITS$x}", fastrand::u64(..)));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(io_error("create the directory", &path, &error)),
            }
            // No other process removes it: a sweep needs the directory's lock, which the caller holds.
            let lock = File::create_new(path.join("lock")).and_then(|lock| lock.lock_shared().map(|()| lock));
            return match lock {
                Ok(lock) => Ok(Self { path, _lock: lock, is_kept: AtomicBool::new(false) }),
                Err(error) => {
                    let _retried_by_the_next_sweep = fs::remove_dir_all(&path);
                    Err(io_error("write to the directory", &path, &error))
                }
            };
        }
        Err(Error::internal(format!("failed to create a new directory in `{}`", models.display())))
    }

    /// Opens and locks a folder. Returns `Some(None)` if the folder does not exist. Returns `None` if another process
    /// holds its exclusive lock, usually to remove it.
    pub(super) fn open(path: &Path) -> Result<Option<Option<Self>>> {
        let lock = path.join("lock");
        let held = file::open_real(&lock).and_then(|held| {
            if attempt(held.try_lock_shared())?.is_none() {
                return Ok(None);
            }
            // Another process may have removed the folder, and with it the opened file.
            let is_current = fs::metadata(&lock)?.ino() == held.metadata()?.ino();
            Ok(Some(is_current.then(|| Self { path: path.to_owned(), _lock: held, is_kept: AtomicBool::new(true) })))
        });
        match held {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(None)),
            held => held.map_err(|error| io_error("read", &lock, &error)),
        }
    }

    /// Returns true if a process holds the lock of a folder, or if that cannot be determined.
    pub(super) fn is_held(path: &Path) -> bool {
        match file::open_real(&path.join("lock")) {
            Ok(lock) => lock.try_lock().is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Removes a folder. Leaves the folder if a process holds its lock, or if it contains files that this plugin does
    /// not create.
    pub(super) fn remove_unless_held(path: &Path) {
        // A process may have crashed while it created or removed the folder, so any part of the folder may be missing.
        let is_ours = |entry: io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                ["lock", "model", UNFINISHED_RECORD].contains(&&*name) || name.starts_with(UNFINISHED_FETCH)
            })
        };
        let is_folder = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        if !is_folder || !fs::read_dir(path).is_ok_and(|mut entries| entries.all(is_ours)) {
            return;
        }
        // The lock is held until the end of the function.
        let lock = file::open_real(&path.join("lock"));
        let is_held = match &lock {
            Ok(lock) => lock.try_lock().is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if !is_held {
            let _retried_by_the_next_sweep = fs::remove_dir_all(path);
        }
    }

    /// Returns the name of the folder in `models/`.
    pub(crate) fn id(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).expect("the name is ASCII")
    }

    /// Returns the path of the subfolder for the model, which may not exist yet.
    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Writes the directory entries of the folder to the disk, so that they survive a crash of the machine.
    ///
    /// # Errors
    /// Fails if the disk reports an error.
    pub(crate) fn sync(&self) -> Result<()> {
        let parent = self.path.parent().expect("it is in `models/`");
        sync(&self.path).and_then(|()| sync(parent)).map_err(|error| io_error("write", &self.path, &error))
    }

    /// Removes the folder now. A model that is already in memory is not affected.
    pub(crate) fn remove(&self) {
        let _retried_by_the_next_sweep = fs::remove_dir_all(&self.path);
    }

    /// Prevents the removal of the folder when this value is dropped, because a deployment uses the folder.
    pub(crate) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            self.remove();
        }
    }
}
