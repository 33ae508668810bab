//! Sends the chunks of a streaming operation, no faster than the caller takes them.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{Error, ErrorCode, Payload, Result};

/// The sender of a streaming operation's chunks.
///
/// The operation only borrows the sender, so no chunk can follow the reply.
///
/// ```
/// use mlflow_deploy_plugin_api::{Chunks, Payload, Result};
///
/// async fn send_lines(text: &str, chunks: &mut Chunks) -> Result<()> {
///     for line in text.lines() {
///         chunks.send(Payload::new("text/plain", line)).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct Chunks(Arc<dyn ChunkReceiver>);

/// The receiver of a stream's chunks: the host, or a test.
pub(crate) trait ChunkReceiver: Send + Sync {
    /// Returns a semaphore with a permit for each chunk that the receiver accepts.
    fn credit(&self) -> &Semaphore;

    /// Takes a chunk. The sender has used up a permit of the credit.
    fn receive(&self, chunk: Payload);
}

impl Chunks {
    /// Returns a sender that passes chunks to `receiver`.
    pub(crate) fn new(receiver: Arc<dyn ChunkReceiver>) -> Self {
        Self(receiver)
    }

    /// Waits until the caller accepts a chunk, then sends the chunk.
    ///
    /// # Errors
    /// `CANCELLED` if the caller has dropped the stream.
    pub async fn send(&mut self, chunk: Payload) -> Result<()> {
        let permit = self.0.credit().acquire().await;
        permit.map_err(|_closed| Error::new(ErrorCode::CANCELLED, "the caller dropped the stream"))?.forget();
        self.0.receive(chunk);
        Ok(())
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Chunks({} in credit)", self.0.credit().available_permits())
    }
}
