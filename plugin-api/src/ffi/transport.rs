//! The messages between a host and a plugin, as two traits that are independent of the transport.
//!
//! [`Table`](super::Table) implements them with the functions of a library in this process. For a plugin in another
//! process, each method sends a message between the processes.

use std::sync::Arc;

use crate::{Error, ErrorCode, Operation, Result};

/// The maximum size of the head or the body of a message, in bytes: 512 MiB. A larger result must be sent in chunks.
pub const MAX_MESSAGE_BYTES: usize = 512 << 20;

/// Checks the size of the head or the body of a message.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` if the part is larger than [`MAX_MESSAGE_BYTES`].
pub fn check_size(part: &[u8]) -> Result<()> {
    if part.len() <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    let message = format!("message of {} bytes is too large: the limit is {MAX_MESSAGE_BYTES}", part.len());
    Err(Error::new(ErrorCode::RESOURCE_EXHAUSTED, message))
}

/// The messages from a host to a plugin. No method blocks, and every method may be called from any thread.
///
/// The host chooses the ids of clients and calls; an id is never zero and never used twice.
pub trait PluginTransport: Send + Sync {
    /// Returns true if the plugin has the function `slot`.
    fn has(&self, slot: Slot) -> bool;

    /// Starts a call; `client` is 0 for a call of the plugin itself. The plugin may [`reply`](HostCallbacks::reply)
    /// before this method returns.
    fn call(&self, slot: Slot, client: u64, call: u64, request: &Request<'_>);

    /// Closes a client. The host starts no call of the client afterwards.
    fn close(&self, client: u64);

    /// Cancels a call. The plugin still replies to the call.
    fn cancel(&self, call: u64);

    /// Allows the plugin to send `chunks` more chunks of a stream.
    fn credit(&self, call: u64, chunks: u32);
}

/// The messages from a plugin to its host. No method blocks, and every method may be called from any thread.
pub trait HostCallbacks: Send + Sync {
    /// Ends a call. The plugin calls this method exactly once for each call.
    fn reply(&self, call: u64, status: u32, lent: BorrowedReply<'_>);

    /// Sends one chunk of a stream. The host must have allowed the chunk.
    fn chunk(&self, call: u64, lent: BorrowedReply<'_>);

    /// Sends an event. `call` is 0 if the event belongs to no call. `json` is `None` if the plugin passed an invalid
    /// slice.
    fn event(&self, call: u64, level: u32, json: Option<&[u8]>);

    /// Creates an instance of the plugin's own library in another process, with `host` as its host; `None` if this host
    /// does not support it. The first call of the instance starts the process. The process ends when the instance is
    /// dropped.
    fn isolate(&self, host: Arc<dyn HostCallbacks>) -> Option<Arc<dyn PluginTransport>> {
        drop(host);
        None
    }
}

/// A function of a plugin's table that starts a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// Opens a client of a plugin.
    Open,
    /// Runs an operation of a client.
    Operation(Operation),
    /// Serves a model on this machine.
    RunLocal,
    /// Ends the instance of a plugin.
    Shutdown,
    /// Returns the help text of a plugin's target.
    TargetHelp,
}

impl Slot {
    /// Returns the name of this function in the plugin's table. An operation has the same name as in MLflow.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Operation(operation) => operation.name(),
            Self::RunLocal => "run_local",
            Self::Shutdown => "shutdown",
            Self::TargetHelp => "target_help",
        }
    }
}

/// The arguments of a call, borrowed until the call has started.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has the members of the contract's request")]
pub struct Request<'a> {
    /// The number of chunks that the plugin may send before a call of `credit` allows more; 0 for a call without a
    /// stream.
    pub credit: u32,
    /// The time until the caller's deadline, in milliseconds; 0 for a call without a deadline.
    pub timeout_ms: u64,
    /// The arguments of the call, as a JSON object.
    pub head: &'a [u8],
    /// The inputs of the call. Their media type is the value of `content_type` in the head.
    pub body: &'a [u8],
}

/// The two parts of a reply or a chunk. A part is `None` if the plugin passed an invalid slice.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has the members of the contract's reply")]
pub struct BorrowedReply<'a> {
    /// The head: empty, or a JSON object with the media type of the body.
    pub head: Option<&'a [u8]>,
    /// The body: the result, or the error as JSON.
    pub body: Option<&'a [u8]>,
}
