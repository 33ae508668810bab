//! Answers that are files: written to disk while they arrive, and never held in memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::exchange::{Opened, exchange};
use crate::fault::{Fault, Stage};
use crate::{Client, Policy, Request};

/// How many parts of an answer wait for the disk. When it is slower than the server, the server waits too.
const WAITING: usize = 16;

/// Sends a request, again where the policy allows it, and writes the answer into a new file, which is on the disk when
/// this returns. Gives its length in bytes.
///
/// `length` is what the answer has to have, where that is known. `received` is told how many bytes there are; they
/// become fewer where an attempt has to begin anew. Where the server says by its `ETag` that the file is still the same,
/// only the rest is asked for.
///
/// # Errors
/// As for [`send`](crate::send()); `RESOURCE_ALREADY_EXISTS` where the path is taken, and `INTERNAL_ERROR` where the
/// answer has another length, or the disk is at fault. The file is then left as it is, for the caller to remove.
pub async fn download(
    client: &Client,
    request: &Request,
    policy: &Policy,
    path: &Path,
    length: Option<u64>,
    received: impl Fn(u64) + Sync,
) -> Result<u64> {
    let target = Target::create(path, length, &received)?;
    let ask = |headers: &mut HeaderMap| target.ask(headers);
    let written = exchange(client, request, policy, ask, |opened| target.save(opened)).await?;
    target.sync().await?;
    Ok(written)
}

/// A file that is being downloaded.
struct Target<'a> {
    path: &'a Path,
    file: File,
    length: Option<u64>,
    received: &'a (dyn Fn(u64) + Sync),
    /// What the last attempt left, where the next one can go on from there.
    begun: Mutex<Option<Begun>>,
}

/// The beginning of a file.
struct Begun {
    length: u64,
    /// What the server calls this version of the file.
    etag: HeaderValue,
}

impl<'a> Target<'a> {
    fn create(path: &'a Path, length: Option<u64>, received: &'a (dyn Fn(u64) + Sync)) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
            let code = match error.kind() {
                io::ErrorKind::AlreadyExists => ErrorCode::RESOURCE_ALREADY_EXISTS,
                _ => ErrorCode::INTERNAL_ERROR,
            };
            Error::new(code, format!("failed to create `{}`: {error}", path.display())).with_cause(&error)
        })?;
        Ok(Self { path, file, length, received, begun: Mutex::new(None) })
    }

    /// Asks for the rest alone, where there is a beginning, and for all of it should the file have changed.
    fn ask(&self, headers: &mut HeaderMap) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Begun { length, etag }) = &*begun
            && let Ok(range) = HeaderValue::try_from(format!("bytes={length}-"))
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, etag.clone());
        }
    }

    /// Writes one answer into the file.
    async fn save(&self, mut opened: Opened) -> Result<u64, Fault> {
        let start = self.start(&opened)?;
        if let (Some(announced), Some(length)) = (opened.response.content_length(), self.length)
            && announced.saturating_add(start) != length
        {
            return Err(wrong_length(&opened, announced.saturating_add(start), length));
        }
        (self.received)(start);
        let writer = Writer::start(self.file.try_clone().map_err(|error| self.broken(error))?, start);
        let mut total = start;
        let end = loop {
            let chunk = match opened.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                // It broke off after its last byte, and nothing is missing.
                Err(_) if self.length == Some(total) => break Ok(()),
                Err(fault) => break Err(fault),
            };
            let next = total + chunk.len() as u64;
            if let Some(length) = self.length
                && next > length
            {
                break Err(wrong_length(&opened, next, length));
            }
            if writer.chunks.send(chunk).await.is_err() {
                // What the disk has to say comes below.
                break Ok(());
            }
            total = next;
            (self.received)(total);
        };
        // Also where the attempt has failed: the next one is not to meet its last bytes.
        writer.finish().await.map_err(|error| self.broken(error))?;
        if end.is_err() {
            let etag = opened.response.headers().get(ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/"));
            let begun = etag.filter(|_| total > 0).map(|etag| Begun { length: total, etag: etag.clone() });
            *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        }
        end?;
        match self.length {
            // Only where the server did not say how much it would send: a connection that ends early is noticed else.
            Some(length) if total < length => Err(Fault::new(
                Stage::Unanswered,
                ErrorCode::TEMPORARILY_UNAVAILABLE,
                format!("`{}` ended after {total} of {length} bytes", opened.url),
            )),
            _ => Ok(total),
        }
    }

    /// Where in the file the answer begins: at its start, unless the rest was asked for and came.
    fn start(&self, opened: &Opened) -> Result<u64, Fault> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        if opened.response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(0);
        }
        let range = opened.response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
        match begun {
            Some(begun) if start == Some(begun.length) => Ok(begun.length),
            _ => Err(Fault::new(
                Stage::Settled,
                ErrorCode::INTERNAL_ERROR,
                format!("`{}` answered with a part of the file that was not asked for", opened.url),
            )),
        }
    }

    async fn sync(self) -> Result<()> {
        let Self { file, path, .. } = self;
        let synced = spawn_blocking(move || file.sync_all()).await.map_err(io::Error::other).flatten();
        synced.map_err(|error| unwritable(path, error).into_error(false, ""))
    }

    fn broken(&self, error: io::Error) -> Fault {
        unwritable(self.path, error)
    }
}

fn unwritable(path: &Path, error: io::Error) -> Fault {
    let message = format!("failed to write `{}`: {error}", path.display());
    Fault::new(Stage::Settled, ErrorCode::INTERNAL_ERROR, message).with_cause(error)
}

fn wrong_length(opened: &Opened, length: u64, expected: u64) -> Fault {
    let message = format!(
        "`{}` has {length} bytes or more, where {expected} were expected: it has changed, or something on the way \
         answers in its place",
        opened.url
    );
    Fault::new(Stage::Settled, ErrorCode::INTERNAL_ERROR, message)
}

/// Writes on a thread that may block, until nothing more can come.
struct Writer {
    chunks: mpsc::Sender<Bytes>,
    done: JoinHandle<io::Result<()>>,
}

impl Writer {
    /// Writes from `start` on; what was there behind it is gone.
    fn start(mut file: File, start: u64) -> Self {
        let (chunks, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let done = spawn_blocking(move || {
            file.set_len(start)?;
            file.seek(SeekFrom::Start(start))?;
            while let Some(chunk) = waiting.blocking_recv() {
                file.write_all(&chunk)?;
            }
            Ok(())
        });
        Self { chunks, done }
    }

    /// Waits until everything is written.
    async fn finish(self) -> io::Result<()> {
        drop(self.chunks);
        self.done.await.map_err(io::Error::other)?
    }
}
