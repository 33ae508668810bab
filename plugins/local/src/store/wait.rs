//! Waits for file locks that other processes hold. A wait does not block a thread. It warns the caller if it takes
//! long, and fails at a time limit.

use std::fs::{self, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking, call, text};
use tokio::time::sleep;

/// The time limits of a wait for a file lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockWait {
    /// The time after which the caller receives a warning about the wait.
    pub(super) silence: Duration,
    /// The time after which the wait fails.
    pub(super) limit: Duration,
}

/// The default limits of a wait for a file lock. A process holds a lock only for a moment, unless the process is
/// stopped or the disk does not respond.
pub(super) const LOCK_WAIT: LockWait = LockWait { silence: Duration::from_secs(1), limit: Duration::from_secs(60) };

/// Converts the result of `File::try_lock` or `File::try_lock_shared`. Returns `None` if another process holds the
/// lock.
///
/// # Errors
/// Fails if the file cannot be locked for another reason.
pub(super) fn attempt(locked: std::result::Result<(), TryLockError>) -> io::Result<Option<()>> {
    match locked {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl LockWait {
    /// Calls `attempt` repeatedly until it returns a value, which means that the file `path` is locked.
    ///
    /// # Errors
    /// Fails if `attempt` fails; `TEMPORARILY_UNAVAILABLE` if the time limit is reached.
    pub(super) async fn until<T: Send + 'static>(
        self,
        path: &Path,
        attempt: impl Fn() -> Result<Option<T>> + Clone + Send + 'static,
    ) -> Result<T> {
        const MAX_PAUSE: Duration = Duration::from_millis(50);
        let start = Instant::now();
        let (mut pause, mut is_warned) = (Duration::from_millis(1), false);
        loop {
            if let Some(locked) = blocking(attempt.clone()).await? {
                return Ok(locked);
            }
            let waited = start.elapsed();
            if waited >= self.limit {
                let holders = holders(path).await?;
                return Err(Error::new(
                    ErrorCode::TEMPORARILY_UNAVAILABLE,
                    format!(
                        "timed out after {} s waiting for the lock `{}`, which is held by {holders}: end the holder, \
                         or try again",
                        self.limit.as_secs(),
                        path.display()
                    ),
                )
                .retryable());
            }
            if waited >= self.silence && !is_warned {
                is_warned = true;
                let holders = holders(path).await?;
                call::warn(format!(
                    "waiting for the lock `{}`, which is held by {holders}; giving up after {} s",
                    path.display(),
                    self.limit.as_secs()
                ));
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Returns a text that lists the processes that hold the lock of the file `path`, for a message.
async fn holders(path: &Path) -> Result<String> {
    let path = path.to_owned();
    blocking(move || {
        let processes = fs::metadata(&path).map(|lock| processes(&lock)).unwrap_or_default();
        Ok(if processes.is_empty() { "an unknown process".to_owned() } else { processes.join(", ") })
    })
    .await
}

/// Lists the processes that hold a lock of the file with the metadata `lock`. Returns an empty list on systems other
/// than Linux. A listed process may have inherited the open file from the process that locked it.
fn processes(lock: &Metadata) -> Vec<String> {
    let (major, minor) = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    let inode = format!(" {major:02x}:{minor:02x}:{} ", lock.ino());
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().filter_map(io::Result::ok);
    let is_held = |file: fs::DirEntry| {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        text.lines().any(|line| line.starts_with("lock:") && line.contains(&inode))
    };
    let process = |entry: fs::DirEntry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        if !entries(entry.path().join("fdinfo")).any(is_held) {
            return None;
        }
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let is_self = if id == std::process::id() { ", this one" } else { "" };
        Some(format!("process {id} (`{}`{is_self})", text::line(name.trim_end())))
    };
    entries(PathBuf::from("/proc")).filter_map(process).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[tokio::test]
    async fn wait_for_a_held_lock_fails_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let opened = path.clone();
        let lock = move || {
            let file = File::open(&opened).unwrap();
            Ok(attempt(file.try_lock()).unwrap().map(|()| file))
        };
        let wait = LockWait { silence: Duration::ZERO, limit: Duration::ZERO };
        let error = wait.until(&path, lock.clone()).await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, true));
        assert!(error.message().starts_with("timed out after 0 s waiting for the lock `"), "{error}");
        #[cfg(target_os = "linux")]
        {
            let this = format!("is held by process {} (`", std::process::id());
            assert!(error.message().contains(&this) && error.message().contains("`, this one)"), "{error}");
        }
        drop(held);
        wait.until(&path, lock).await.unwrap();
    }
}
