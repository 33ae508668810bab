//! One copy of a model, and who may remove it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::{Error, Result, file};

use super::copies::UNFINISHED_RECORD;
use super::directory::sync;
use super::fault::fault;
use super::wait::attempt;

/// The digits of an id: 64 bits, in base 16.
const ID_DIGITS: usize = 16;

/// How the folder begins in which a model arrives that is fetched.
const UNFINISHED_FETCH: &str = ".fetching-";

/// A folder that is held: as long as this value lives, no process removes it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked shared. The system lets go of it when the process ends, however it ends.
    _lock: File,
    is_kept: AtomicBool,
}

impl Folder {
    /// Makes a folder with a name that no other has.
    pub(super) fn create(models: &Path) -> Result<Self> {
        for _ in 0..100 {
            let path = models.join(format!("{:0ID_DIGITS$x}", fastrand::u64(..)));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(fault("make the directory", &path, &error)),
            }
            // No other process has seen it: they sweep only while they have the directory's lock, which the caller has.
            let lock = File::create_new(path.join("lock")).and_then(|lock| lock.lock_shared().map(|()| lock));
            return match lock {
                Ok(lock) => Ok(Self { path, _lock: lock, is_kept: AtomicBool::new(false) }),
                Err(error) => {
                    let _left_for_the_next_time = fs::remove_dir_all(&path);
                    Err(fault("write to the directory", &path, &error))
                }
            };
        }
        Err(Error::internal(format!("failed to make a new directory in `{}`", models.display())))
    }

    /// Takes hold of a folder: `Some(None)` where it is gone, and `None` where another process has locked it for itself,
    /// as one does that is removing it.
    pub(super) fn open(path: &Path) -> Result<Option<Option<Self>>> {
        let lock = path.join("lock");
        let held = file::open_real(&lock).and_then(|held| {
            if attempt(held.try_lock_shared())?.is_none() {
                return Ok(None);
            }
            // The process that removed the folder in between has removed the file that was opened.
            let same = fs::metadata(&lock)?.ino() == held.metadata()?.ino();
            Ok(Some(same.then(|| Self { path: path.to_owned(), _lock: held, is_kept: AtomicBool::new(true) })))
        });
        match held {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(None)),
            held => held.map_err(|error| fault("read", &lock, &error)),
        }
    }

    /// Whether a process holds a folder, or that cannot be told.
    pub(super) fn is_held(path: &Path) -> bool {
        match file::open_real(&path.join("lock")) {
            Ok(lock) => lock.try_lock().is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Removes a folder, unless a process holds it, or it has what we put into none.
    pub(super) fn remove_unless_held(path: &Path) {
        // A process that crashed while it was made or removed has left some of it, or nothing.
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
        // The lock is held until it is done.
        let lock = file::open_real(&path.join("lock"));
        let is_held = match &lock {
            Ok(lock) => lock.try_lock().is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if !is_held {
            // It is garbage: the next process that changes something tries again.
            let _left = fs::remove_dir_all(path);
        }
    }

    /// Its name in `models/`.
    pub(crate) fn id(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).expect("it was made of letters")
    }

    /// Where the model is, or is to be.
    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Makes sure that the folder is still there after a crash of the machine.
    ///
    /// # Errors
    /// Where the disk says so.
    pub(crate) fn sync(&self) -> Result<()> {
        let parent = self.path.parent().expect("it is in `models/`");
        sync(&self.path).and_then(|()| sync(parent)).map_err(|error| fault("write", &self.path, &error))
    }

    /// Removes it now, though somebody may still run the model: what has been loaded stays loaded.
    pub(crate) fn remove(&self) {
        let _left_for_the_next_time = fs::remove_dir_all(&self.path);
    }

    /// Says that a deployment names it: it is not removed when it is dropped.
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

/// Whether a name is one that [`Folder::create`] gives, and never a path.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == ID_DIGITS && name.bytes().all(|each| matches!(each, b'0'..=b'9' | b'a'..=b'f'))
}
