//! The way a streaming operation hands out its chunks: one at a time, no faster than the caller takes them.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{Error, ErrorCode, Payload, Result};

/// Where a streaming operation writes its chunks.
///
/// It is lent to the operation for its duration, so that no chunk can follow the reply.
pub struct Chunks {
    emit: Box<dyn FnMut(Payload) + Send>,
    credit: Arc<Semaphore>,
}

impl Chunks {
    /// Chunks that go to `emit`, one for each permit of `credit`.
    pub(crate) fn new(emit: impl FnMut(Payload) + Send + 'static, credit: Arc<Semaphore>) -> Self {
        Self { emit: Box::new(emit), credit }
    }

    /// Waits until the caller has room, then hands it one chunk.
    ///
    /// # Errors
    /// `CANCELLED` where the caller has gone.
    pub async fn send(&mut self, chunk: Payload) -> Result<()> {
        let permit = self.credit.acquire().await;
        permit.map_err(|_closed| Error::new(ErrorCode::CANCELLED, "the caller of the stream has gone"))?.forget();
        (self.emit)(chunk);
        Ok(())
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Chunks({} in credit)", self.credit.available_permits())
    }
}
