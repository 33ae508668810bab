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
pub struct Chunks {
    emit: Box<dyn FnMut(Payload) + Send>,
    credit: Arc<Semaphore>,
}

impl Chunks {
    /// Returns a sender that passes chunks to `emit`. Each chunk uses up one permit of `credit`.
    pub(crate) fn new(emit: impl FnMut(Payload) + Send + 'static, credit: Arc<Semaphore>) -> Self {
        Self { emit: Box::new(emit), credit }
    }

    /// Waits until the caller accepts a chunk, then sends the chunk.
    ///
    /// # Errors
    /// `CANCELLED` if the caller has dropped the stream.
    pub async fn send(&mut self, chunk: Payload) -> Result<()> {
        let permit = self.credit.acquire().await;
        permit.map_err(|_closed| Error::new(ErrorCode::CANCELLED, "the caller dropped the stream"))?.forget();
        (self.emit)(chunk);
        Ok(())
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Chunks({} in credit)", self.credit.available_permits())
    }
}
