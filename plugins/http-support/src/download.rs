//! Answers that are files: written to disk while they arrive, and never held in memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;

use bytes::Bytes;
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
/// `length` is what the answer has to have, where that is known. `received` is told how many bytes have come: 0 at the
/// start of each attempt, as an attempt begins the file anew.
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
    let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::AlreadyExists => ErrorCode::RESOURCE_ALREADY_EXISTS,
            _ => ErrorCode::INTERNAL_ERROR,
        };
        Error::new(code, format!("failed to create `{}`: {error}", path.display())).with_cause(&error)
    })?;
    let broken = |error: io::Error| {
        let message = format!("failed to write `{}`: {error}", path.display());
        Fault::new(Stage::Settled, ErrorCode::INTERNAL_ERROR, message).with_cause(error)
    };
    let written = exchange(client, request, policy, |opened| save(opened, &file, length, &received, &broken)).await?;
    let synced = spawn_blocking(move || file.sync_all()).await.map_err(io::Error::other);
    synced.flatten().map_err(|error| broken(error).into_error(false, ""))?;
    Ok(written)
}

/// Writes one answer into the file, from its start.
async fn save(
    mut opened: Opened,
    file: &File,
    length: Option<u64>,
    received: &(impl Fn(u64) + Sync),
    broken: &(impl Fn(io::Error) -> Fault + Sync),
) -> Result<u64, Fault> {
    if let (Some(announced), Some(length)) = (opened.response.content_length(), length)
        && announced != length
    {
        return Err(wrong_length(&opened, announced, length));
    }
    received(0);
    let writer = Writer::start(file.try_clone().map_err(broken)?);
    let mut total = 0;
    let end = loop {
        let chunk = match opened.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break Ok(()),
            Err(fault) => break Err(fault),
        };
        total += chunk.len() as u64;
        if let Some(length) = length
            && total > length
        {
            break Err(wrong_length(&opened, total, length));
        }
        if writer.chunks.send(chunk).await.is_err() {
            // What the disk has to say comes below.
            break Ok(());
        }
        received(total);
    };
    // Also where the attempt has failed: the next one is not to meet its last bytes.
    writer.finish().await.map_err(broken)?;
    end?;
    match length {
        // Only where the server did not say how much it would send: a connection that ends early is noticed else.
        Some(length) if total < length => Err(Fault::new(
            Stage::Unanswered,
            ErrorCode::TEMPORARILY_UNAVAILABLE,
            format!("`{}` ended after {total} of {length} bytes", opened.url),
        )),
        _ => Ok(total),
    }
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
    fn start(mut file: File) -> Self {
        let (chunks, mut waiting) = mpsc::channel::<Bytes>(WAITING);
        let done = spawn_blocking(move || {
            file.set_len(0)?;
            file.rewind()?;
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
