//! Downloads files. Writes a response to disk as it arrives, and never holds all of it in memory.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, sync};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::attempt_error::{AttemptError, Stage};
use crate::encoding::accept_identity;
use crate::retry::send_with_retries;
use crate::streaming_response::StreamingResponse;
use crate::{Client, Policy, Request};

/// The maximum number of received chunks that wait to be written to disk. The download pauses while this many chunks
/// wait.
const MAX_QUEUED_CHUNKS: usize = 16;

/// Sends a request, retries it as the policy allows, and writes the response into a new file at `path`. Syncs the file
/// to disk. Returns the file's length in bytes.
///
/// `length` is the expected length in bytes, if known. `received` is called with the number of bytes received so far.
/// This number decreases if an attempt starts over. A retry continues after the received bytes if the server's `ETag`
/// shows that the file has not changed.
///
/// # Errors
/// - Fails as [`send`](crate::send()) does.
/// - `RESOURCE_ALREADY_EXISTS` if the path exists.
/// - `INTERNAL_ERROR` if the response has another length than expected, or if writing fails. The caller has to remove
///   the incomplete file.
pub async fn download(
    client: &Client,
    request: &Request,
    policy: &Policy,
    path: &Path,
    length: Option<u64>,
    received: impl Fn(u64) + Sync,
) -> Result<u64> {
    let target = Download::create(path, length, &received)?;
    let written = target.receive(client, request, policy).await?;
    target.finish().await?;
    Ok(written)
}

/// A file that is downloaded by one request, or by several in sequence. Each request continues after the bytes that the
/// previous one received, if the server's `ETag` shows that the file has not changed.
pub struct Download<'a> {
    path: &'a Path,
    file: File,
    length: Option<u64>,
    received: &'a (dyn Fn(u64) + Sync),
    /// The beginning of the file that the last attempt received; `None` if the next attempt has to start over.
    partial: Mutex<Option<Partial>>,
}

/// The beginning of a file that was received before an attempt failed.
struct Partial {
    length: u64,
    /// The value of the `ETag` header, with which the server identifies a version of the file.
    etag: HeaderValue,
}

impl<'a> Download<'a> {
    /// Creates the file of a download. The arguments are the same as those of [`download`].
    ///
    /// # Errors
    /// `RESOURCE_ALREADY_EXISTS` if the path exists, and `INTERNAL_ERROR` if the file cannot be created.
    pub fn create(path: &'a Path, length: Option<u64>, received: &'a (dyn Fn(u64) + Sync)) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
            let code = match error.kind() {
                io::ErrorKind::AlreadyExists => ErrorCode::RESOURCE_ALREADY_EXISTS,
                _ => ErrorCode::INTERNAL_ERROR,
            };
            Error::new(code, format!("failed to create `{}`: {error}", path.display())).with_cause(&error)
        })?;
        Ok(Self { path, file, length, received, partial: Mutex::new(None) })
    }

    /// Sends a request, retries it as the policy allows, and writes the response into the file. Returns the file's
    /// length in bytes.
    ///
    /// # Errors
    /// Fails as [`download`] does. A later call with another request continues the download.
    pub async fn receive(&self, client: &Client, request: &Request, policy: &Policy) -> Result<u64> {
        let vary = |headers: &mut HeaderMap| {
            accept_identity(headers);
            self.request_rest(headers);
        };
        send_with_retries(client, request, policy, vary, |response| self.save(response)).await
    }

    /// Syncs the downloaded file to disk.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if writing to disk fails.
    pub async fn finish(self) -> Result<()> {
        let Self { file, path, .. } = self;
        let synced = spawn_blocking(move || file.sync_all()).await.map_err(io::Error::other).flatten();
        synced.map_err(|error| write_failed(path, error).into_error(false, ""))
    }

    /// Sets the headers `Range` and `If-Range` after an incomplete attempt. They request the rest of the file, or all
    /// of it if the file has changed on the server.
    fn request_rest(&self, headers: &mut HeaderMap) {
        let partial = sync::lock(&self.partial);
        if let Some(Partial { length, etag }) = &*partial
            && let Ok(range) = HeaderValue::try_from(format!("bytes={length}-"))
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, etag.clone());
        }
    }

    /// Writes the body of one response into the file. Returns the file's length in bytes.
    async fn save(&self, mut response: StreamingResponse) -> Result<u64, AttemptError> {
        let start = self.start(&response)?;
        if let (Some(announced), Some(length)) = (response.announced(), self.length)
            && announced.saturating_add(start) != length
        {
            return Err(wrong_length(&response, announced.saturating_add(start), length));
        }
        (self.received)(start);
        let writer = Writer::start(self.file.try_clone().map_err(|error| self.write_error(error))?, start);
        let mut total = start;
        let end = loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                // The connection was lost after the last byte: nothing is missing.
                Err(_) if self.length == Some(total) => break Ok(()),
                Err(error) => break Err(error),
            };
            let next = total + chunk.len() as u64;
            if let Some(length) = self.length
                && next > length
            {
                break Err(wrong_length(&response, next, length));
            }
            if writer.chunks.send(chunk).await.is_err() {
                // `finish` below returns the error of the disk write.
                break Ok(());
            }
            total = next;
            (self.received)(total);
        };
        // This wait is needed even if the attempt has failed: its last writes must not overlap with the next attempt.
        writer.finish().await.map_err(|error| self.write_error(error))?;
        if end.is_err() {
            let etag = response.inner.headers().get(ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/"));
            // The server counts the bytes of an encoded body, but this file has the decoded bytes.
            let partial = etag
                .filter(|_| total > 0 && !response.is_decoded())
                .map(|etag| Partial { length: total, etag: etag.clone() });
            *sync::lock(&self.partial) = partial;
        }
        end?;
        match self.length {
            // This happens only without a `Content-Length`: with one, the HTTP library reports an early end.
            Some(length) if total < length => Err(AttemptError::new(
                Stage::Unanswered,
                ErrorCode::TEMPORARILY_UNAVAILABLE,
                format!("`{}` ended after {total} of {length} bytes", response.url),
            )),
            _ => Ok(total),
        }
    }

    /// Returns the offset in the file at which the body of a response begins. The offset is 0, unless the response
    /// contains the requested rest of the file. Fails if the response contains another part.
    fn start(&self, response: &StreamingResponse) -> Result<u64, AttemptError> {
        let partial = sync::lock(&self.partial).take();
        if response.inner.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(0);
        }
        let range = response.inner.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
        match partial {
            Some(partial) if start == Some(partial.length) => Ok(partial.length),
            _ => Err(AttemptError::new(
                Stage::Final,
                ErrorCode::INTERNAL_ERROR,
                format!("`{}` answered with a part of the file that was not requested", response.url),
            )),
        }
    }

    fn write_error(&self, error: io::Error) -> AttemptError {
        write_failed(self.path, error)
    }
}

fn write_failed(path: &Path, error: io::Error) -> AttemptError {
    let message = format!("failed to write `{}`: {error}", path.display());
    AttemptError::new(Stage::Final, ErrorCode::INTERNAL_ERROR, message).with_cause(error)
}

fn wrong_length(response: &StreamingResponse, length: u64, expected: u64) -> AttemptError {
    let message = format!(
        "`{}` has {length} bytes or more, but {expected} were expected: the file has changed, or a proxy answered \
         instead",
        response.url
    );
    AttemptError::new(Stage::Final, ErrorCode::INTERNAL_ERROR, message)
}

impl fmt::Debug for Download<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Download").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A thread that writes chunks to a file until the sender of the chunks is dropped.
struct Writer {
    chunks: mpsc::Sender<Bytes>,
    done: JoinHandle<io::Result<()>>,
}

impl Writer {
    /// Starts a thread that truncates the file to `start` bytes and then appends chunks.
    fn start(mut file: File, start: u64) -> Self {
        let (chunks, mut queue) = mpsc::channel::<Bytes>(MAX_QUEUED_CHUNKS);
        let done = spawn_blocking(move || {
            file.set_len(start)?;
            file.seek(SeekFrom::Start(start))?;
            while let Some(chunk) = queue.blocking_recv() {
                file.write_all(&chunk)?;
            }
            Ok(())
        });
        Self { chunks, done }
    }

    /// Drops the sender, and waits until all chunks are written to the file.
    async fn finish(self) -> io::Result<()> {
        drop(self.chunks);
        self.done.await.map_err(io::Error::other)?
    }
}
