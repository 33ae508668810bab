//! The upload of a file in parts, of which one is in memory at a time.

use bytes::{Bytes, BytesMut};
use mlflow_deploy_plugin_api::Result;
use object_store::{MultipartUpload, PutPayload};

use crate::failure;
use crate::url::StoreUrl;

/// The length of a part in bytes. A store accepts at most 10,000 parts.
const PART: usize = 16 << 20;

/// The upload of one file. The caller has to finish or to abort it, because a store keeps the parts of an upload.
pub struct Upload {
    inner: Box<dyn MultipartUpload>,
    url: StoreUrl,
    buffer: BytesMut,
}

impl Upload {
    pub(crate) fn new(inner: Box<dyn MultipartUpload>, url: StoreUrl) -> Self {
        Self { inner, url, buffer: BytesMut::new() }
    }

    /// Returns the URL of the file.
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Appends bytes to the file. Sends each part as soon as it is full.
    ///
    /// # Errors
    /// The store's error, with advice. The caller then has to abort the upload.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PART {
            let part = self.buffer.split_to(PART).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    /// Sends the rest, and makes the file visible in the store.
    ///
    /// # Errors
    /// The store's error, with advice. The caller then has to abort the upload.
    pub async fn finish(&mut self) -> Result<()> {
        let rest = self.buffer.split().freeze();
        self.send(rest).await?;
        let finished = self.inner.complete().await;
        finished.map(|_result| ()).map_err(|error| failure::convert(&self.url, &error))
    }

    /// Removes the parts of the upload from the store.
    ///
    /// # Errors
    /// The store's error, with advice. The parts may then remain in the store.
    pub async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await.map_err(|error| failure::convert(&self.url, &error))
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        let sent = self.inner.put_part(PutPayload::from_bytes(part)).await;
        sent.map_err(|error| failure::convert(&self.url, &error))
    }
}

/// Omits the client, which has the credentials.
impl std::fmt::Debug for Upload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Upload").field("url", &self.url).finish_non_exhaustive()
    }
}
