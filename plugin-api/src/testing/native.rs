//! Calls a client directly, without the plugin's table.

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::args::Arguments;
use crate::chunks::ChunkReceiver;
use crate::{Chunks, DeploymentClient, Payload, Result, sync};

/// Runs an operation by a direct call of the client, without the plugin's table. Returns the result, and the chunks
/// that the operation sent.
///
/// The operation has no current [call](crate::call): its events are discarded. [`start`](super::start) records them.
pub async fn natively<C: DeploymentClient, A: Arguments>(client: &C, arguments: A) -> (Result<Payload>, Vec<Payload>) {
    let (mut sender, sent) = chunks();
    let answer = arguments.answer(client, &mut sender).await;
    (answer, sent.all())
}

/// Returns a sender for a function that streams, and the record of the chunks that it sends. The sender never waits.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mlflow_deploy_plugin_api::Result<()> {
/// use mlflow_deploy_plugin_api::{Payload, testing};
///
/// let (mut sender, sent) = testing::chunks();
/// sender.send(Payload::new("text/plain", "one")).await?;
/// assert_eq!(sent.all(), [Payload::new("text/plain", "one")]);
/// # Ok(())
/// # }
/// ```
pub fn chunks() -> (Chunks, SentChunks) {
    chunks_with_credit(Semaphore::MAX_PERMITS)
}

/// Returns a sender that waits after `credit` chunks until [`SentChunks::grant`] is called, and the record of the chunks
/// that it sends.
pub fn chunks_with_credit(credit: usize) -> (Chunks, SentChunks) {
    let record = Arc::new(ChunkRecord { chunks: Mutex::default(), credit: Semaphore::new(credit) });
    (Chunks::new(Arc::<ChunkRecord>::clone(&record)), SentChunks(record))
}

/// The recorded chunks of a stream, and the caller's side of its credit. [`chunks`] and [`chunks_with_credit`] return
/// it.
#[derive(Clone)]
pub struct SentChunks(Arc<ChunkRecord>);

struct ChunkRecord {
    chunks: Mutex<Vec<Payload>>,
    credit: Semaphore,
}

impl ChunkReceiver for ChunkRecord {
    fn credit(&self) -> &Semaphore {
        &self.credit
    }

    fn receive(&self, chunk: Payload) {
        sync::lock(&self.chunks).push(chunk);
    }
}

impl SentChunks {
    /// Returns all chunks that were sent so far, in their order.
    pub fn all(&self) -> Vec<Payload> {
        sync::lock(&self.0.chunks).clone()
    }

    /// Lets the sender send this many more chunks, as a caller does that has read chunks.
    ///
    /// # Panics
    /// Panics if the sum of the credit exceeds an eighth of `usize::MAX`.
    pub fn grant(&self, chunks: usize) {
        self.0.credit.add_permits(chunks);
    }

    /// Drops the stream, as a caller does that reads no more chunks. From now on, the sender fails with `CANCELLED`.
    pub fn drop_stream(&self) {
        self.0.credit.close();
    }
}

impl fmt::Debug for SentChunks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.all()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[tokio::test]
    async fn sender_waits_for_credit_and_fails_once_the_stream_is_dropped() {
        let (mut sender, sent) = chunks_with_credit(1);
        let chunk = || Payload::new("text/plain", "a");
        sender.send(chunk()).await.unwrap();
        let mut second = Box::pin(sender.send(chunk()));
        tokio::select! {
            biased;
            _ = &mut second => panic!("the sender did not wait"),
            () = std::future::ready(()) => {}
        }
        sent.grant(1);
        second.await.unwrap();
        assert_eq!(sent.all().len(), 2);
        sent.drop_stream();
        assert_eq!(sender.send(chunk()).await.unwrap_err().code(), &ErrorCode::CANCELLED);
        assert_eq!(sent.all().len(), 2);
    }
}
