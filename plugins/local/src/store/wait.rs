//! Waits for locks that other processes hold: no thread blocks meanwhile, the caller is told what it waits for, and the
//! wait ends with the caller or at a limit.

use std::fs::{self, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking, call};
use tokio::time::sleep;

use crate::shown::shown;

/// How long is waited for a lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// After this time the caller is told.
    pub(super) silence: Duration,
    /// After this time the wait fails.
    pub(super) limit: Duration,
}

/// A lock is held for a moment, and for longer only if its process is stopped or its disk hangs.
pub(super) const LOCK_WAIT: Wait = Wait { silence: Duration::from_secs(1), limit: Duration::from_secs(60) };

/// What came of an attempt to lock a file: `None` where another process holds it.
///
/// # Errors
/// Where the file cannot be locked at all.
pub(super) fn attempt(locked: std::result::Result<(), TryLockError>) -> io::Result<Option<()>> {
    match locked {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Wait {
    /// Tries to lock the file `path` until `attempt` has it.
    ///
    /// # Errors
    /// What `attempt` answers, and `TEMPORARILY_UNAVAILABLE` at the limit.
    pub(super) async fn until<T: Send + 'static>(
        self,
        path: &Path,
        attempt: impl Fn() -> Result<Option<T>> + Clone + Send + 'static,
    ) -> Result<T> {
        const MAX_PAUSE: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        let (mut pause, mut is_told) = (Duration::from_millis(1), false);
        loop {
            if let Some(locked) = blocking(attempt.clone()).await? {
                return Ok(locked);
            }
            let waited = begun.elapsed();
            if waited >= self.limit {
                let holders = holders(path).await?;
                return Err(Error::new(
                    ErrorCode::TEMPORARILY_UNAVAILABLE,
                    format!(
                        "gave up on the lock `{}` after {} s, for it is held by {holders}: end what holds it, or try again",
                        path.display(),
                        self.limit.as_secs()
                    ),
                )
                .retryable());
            }
            if waited >= self.silence && !is_told {
                is_told = true;
                let holders = holders(path).await?;
                call::warn(format!(
                    "waiting for the lock `{}`, which is held by {holders}; the wait ends after {} s",
                    path.display(),
                    self.limit.as_secs()
                ));
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// The processes that hold a lock, for a message.
async fn holders(path: &Path) -> Result<String> {
    let path = path.to_owned();
    blocking(move || {
        let found = fs::metadata(&path).map(|found| processes(&found)).unwrap_or_default();
        Ok(if found.is_empty() { "a process that cannot be told".to_owned() } else { found.join(", ") })
    })
    .await
}

/// Who holds a lock of a file, as far as Linux says: the process that has the locked file open, which may be another than
/// the one that locked it.
fn processes(lock: &Metadata) -> Vec<String> {
    let (major, minor) = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    let mark = format!(" {major:02x}:{minor:02x}:{} ", lock.ino());
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().filter_map(io::Result::ok);
    let is_held = |file: fs::DirEntry| {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        text.lines().any(|line| line.starts_with("lock:") && line.contains(&mark))
    };
    let process = |entry: fs::DirEntry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        if !entries(entry.path().join("fdinfo")).any(is_held) {
            return None;
        }
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let is_self = if id == std::process::id() { ", this one" } else { "" };
        Some(format!("the process {id} (`{}`{is_self})", shown(name.trim_end())))
    };
    entries(PathBuf::from("/proc")).filter_map(process).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[tokio::test]
    async fn a_lock_that_stays_held_is_given_up_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let tried = path.clone();
        let lock = move || {
            let file = File::open(&tried).unwrap();
            Ok(attempt(file.try_lock()).unwrap().map(|()| file))
        };
        let wait = Wait { silence: Duration::ZERO, limit: Duration::ZERO };
        let error = wait.until(&path, lock.clone()).await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, true));
        assert!(error.message().starts_with("gave up on the lock `"), "{error}");
        #[cfg(target_os = "linux")]
        {
            let this = format!("is held by the process {} (`", std::process::id());
            assert!(error.message().contains(&this) && error.message().contains("`, this one)"), "{error}");
        }
        drop(held);
        wait.until(&path, lock).await.unwrap();
    }
}
