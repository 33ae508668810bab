//! Downloads a file from an object store in parts. Several parts arrive at the same time, and a part that breaks off
//! continues with its missing bytes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, TryStreamExt, stream};
use mlflow_deploy_object_store::{Digest, Part, Store, StoredObject};
use mlflow_deploy_plugin_api::call;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking, sync};

use crate::session::{MAX_CONCURRENT_REQUESTS, Session};

/// The length of a part in bytes.
const PART: u64 = 16 << 20;

/// The download of one file.
struct RangedDownload<'a> {
    session: &'a Session<'a>,
    store: &'a Store,
    object: &'a StoredObject,
    file: Arc<File>,
    target: &'a Path,
    /// The version of the file, which the first answer determines.
    version: Mutex<Option<Version>>,
    received: AtomicU64,
    report: &'a (dyn Fn(u64) + Sync),
}

/// The version of a file, as an answer of the store describes it.
struct Version {
    etag: Option<String>,
    digest: Option<Digest>,
}

/// Downloads a file into a new file at `target`, and syncs it to disk. `report` is called with the number of bytes received
/// so far.
///
/// # Errors
/// - The store's error.
/// - `TEMPORARILY_UNAVAILABLE` if a part breaks off too often, or if the file changes during the download.
/// - `INTERNAL_ERROR` if the content does not have the digest that the store reports.
pub(crate) async fn download(
    session: &Session<'_>,
    store: &Store,
    object: &StoredObject,
    target: &Path,
    report: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(target);
    let file = Arc::new(file.map_err(|error| write_failed(target, &error))?);
    let (version, received) = (Mutex::default(), AtomicU64::new(0));
    let download = RangedDownload { session, store, object, file, target, version, received, report };
    let parts = (0..object.size.div_ceil(PART)).map(|number| number * PART);
    let parts = stream::iter(parts).map(Ok);
    parts.try_for_each_concurrent(MAX_CONCURRENT_REQUESTS, |start| download.part(start)).await?;
    download.finish().await
}

impl RangedDownload<'_> {
    /// Downloads the part that begins at `start`.
    async fn part(&self, mut start: u64) -> Result<()> {
        let end = (start + PART).min(self.object.size);
        let _place = self.session.places.acquire().await.map_err(|error| Error::internal(error.to_string()))?;
        let mut breaks = 0;
        loop {
            let before = start;
            let error = match self.receive(&mut start, end).await {
                Err(error) if error.is_retryable() => error,
                result => return result,
            };
            // Only breaks without any progress in between count.
            breaks = if start > before { 1 } else { breaks + 1 };
            let policy = &self.session.policy;
            let wait = policy.wait(breaks, None);
            if breaks > policy.max_retries || policy.deadline.is_some_and(|deadline| deadline.is_within(wait)) {
                return Err(error);
            }
            call::warn(format!("{}; requesting the missing {} bytes", error.message(), end - start));
            tokio::time::sleep(wait).await;
        }
    }

    /// Requests the bytes from `start` to `end`, and writes them to the file. Increases `start` with each written byte.
    async fn receive(&self, start: &mut u64, end: u64) -> Result<()> {
        let part = self.store.read(self.object, *start..end).await?;
        self.check(&part)?;
        let mut bytes = part.bytes;
        while let Some(chunk) = bytes.next().await.transpose()? {
            let length = chunk.len() as u64;
            if length > end - *start {
                return Err(Error::internal(format!("{} was answered with more bytes than requested", self.shown())));
            }
            let (file, path, offset) = (Arc::clone(&self.file), self.target.to_owned(), *start);
            blocking(move || file.write_all_at(&chunk, offset).map_err(|error| write_failed(&path, &error))).await?;
            *start += length;
            let received = self.received.fetch_add(length, Ordering::Relaxed) + length;
            (self.report)(received);
        }
        if *start < end {
            let message = format!("{} ended {} bytes too early", self.shown(), end - *start);
            return Err(Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).retryable());
        }
        Ok(())
    }

    /// Checks that a part is one of the version of the file that the other parts have.
    fn check(&self, part: &Part) -> Result<()> {
        let changed = || {
            let message = format!("{} has changed during the download: fetch the model again", self.shown());
            Err(Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message))
        };
        if part.size != self.object.size {
            return changed();
        }
        let mut version = sync::lock(&self.version);
        match &*version {
            Some(version) if version.etag != part.etag => changed(),
            Some(_) => Ok(()),
            None => {
                *version = Some(Version { etag: part.etag.clone(), digest: part.digest.clone() });
                Ok(())
            }
        }
    }

    /// Checks the digest of the whole file, and syncs the file to disk.
    async fn finish(self) -> Result<()> {
        let expected = sync::lock(&self.version).take().and_then(|version| version.digest);
        let (path, file) = (self.target.to_owned(), Arc::clone(&self.file));
        let kind = expected.clone();
        let read = move || {
            let actual = match kind {
                Some(kind) => Some(kind.of_file(File::open(&path)?)?),
                None => None,
            };
            file.sync_all().map(|()| actual)
        };
        let shown = self.target.to_owned();
        let actual = blocking(move || read().map_err(|error: io::Error| write_failed(&shown, &error))).await?;
        match (expected, actual) {
            (Some(expected), Some(actual)) if expected != actual => Err(Error::internal(format!(
                "{} arrived with {actual}, but the store reports {expected}: the file is damaged, or was changed on the way",
                self.shown()
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the URL of the file for messages.
    fn shown(&self) -> String {
        format!("`{}`", self.store.url().join(&self.object.path))
    }
}

fn write_failed(path: &Path, error: &io::Error) -> Error {
    Error::internal(format!("failed to write `{}`: {error}", path.display())).with_cause(error)
}
