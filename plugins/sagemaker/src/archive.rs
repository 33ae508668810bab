//! A model as `model.tar.gz`: packed on a thread, and read in parts while it is packed. Never held as a whole.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use mlflow_deploy_plugin_api::{Error, Result, blocking};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The size of a part, in bytes.
const PART: usize = 4 << 20;

/// An archive that is being packed.
#[derive(Debug)]
pub(crate) struct Archive {
    parts: Receiver<Result<Bytes>>,
}

impl Archive {
    /// Starts to pack the content of a folder.
    pub(crate) fn pack(folder: &Path) -> Self {
        let (sender, parts) = channel(1);
        let folder = folder.to_owned();
        tokio::spawn(async move {
            let failure = sender.clone();
            if let Err(error) = blocking(move || write(&folder, sender)).await {
                // If the receiver is gone, the upload has ended.
                let _ended = failure.send(Err(error)).await;
            }
        });
        Self { parts }
    }

    /// Returns the next part. Returns `None` after the last part.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        self.parts.recv().await.transpose()
    }
}

fn write(folder: &Path, sender: Sender<Result<Bytes>>) -> Result<()> {
    let failed =
        |error: io::Error| Error::internal(format!("failed to pack the model in `{}`: {error}", folder.display()));
    let parts = PartWriter { sender, part: Vec::with_capacity(PART) };
    let mut archive = tar::Builder::new(GzEncoder::new(parts, Compression::default()));
    archive.mode(tar::HeaderMode::Deterministic);
    // A link could lead out of the model: its target is packed instead.
    archive.follow_symlinks(true);
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(failed)?;
    names.sort();
    for path in names {
        let Some(name) = path.file_name() else { continue };
        let added = if path.is_dir() {
            archive.append_dir_all(name, &path)
        } else {
            archive.append_path_with_name(&path, name)
        };
        added.map_err(failed)?;
    }
    archive.into_inner().and_then(GzEncoder::finish).and_then(PartWriter::finish).map_err(failed)
}

/// Collects bytes to parts, and waits until each part is taken.
struct PartWriter {
    sender: Sender<Result<Bytes>>,
    part: Vec<u8>,
}

impl PartWriter {
    fn finish(mut self) -> io::Result<()> {
        if !self.part.is_empty() {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART));
        self.sender.blocking_send(Ok(part.into())).map_err(|_ended| io::Error::other("the upload has ended"))
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        if self.part.len() == PART {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
