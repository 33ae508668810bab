//! What a host and a plugin say to each other, as two traits: whatever carries it, calls are made in one way.
//!
//! [`Table`](super::Table) carries it through the functions of a library in this process. A host may as well put the
//! plugin into another process: then each method is a message. Nothing here knows which of the two it is.

use std::sync::Arc;

use crate::{Error, ErrorCode, Operation, Result};

/// The most bytes that a plugin may hand over at once, and that go to its process at once: 512 MiB. Who has more to say
/// says it in chunks.
pub const MOST_AT_ONCE: usize = 512 << 20;

/// Refuses a part of a message that is larger than [`MOST_AT_ONCE`].
///
/// # Errors
/// `RESOURCE_EXHAUSTED`.
pub fn check_size(part: &[u8]) -> Result<()> {
    if part.len() <= MOST_AT_ONCE {
        return Ok(());
    }
    let message = format!("{} bytes are too many to be handed over at once: {MOST_AT_ONCE} may be", part.len());
    Err(Error::new(ErrorCode::RESOURCE_EXHAUSTED, message))
}

/// What a host says to a plugin. Nothing blocks, and any method may be called from any thread.
///
/// Client and call ids are the host's, never zero and never used twice.
pub trait ToPlugin: Send + Sync {
    /// Whether the plugin has something to enter there.
    fn has(&self, slot: Slot) -> bool;

    /// Begins a call; `client` is 0 where it is the plugin's own. Its end is a [`reply`](ToHost::reply), before this
    /// returns or after.
    fn call(&self, slot: Slot, client: u64, call: u64, request: &Request<'_>);

    /// Ends a client: no call of it is made afterwards.
    fn close(&self, client: u64);

    /// Gives a call up. Its reply still comes.
    fn cancel(&self, call: u64);

    /// Allows a stream this many more chunks.
    fn credit(&self, call: u64, chunks: u32);
}

/// What a plugin says to its host. Nothing blocks, and any method may be called from any thread.
pub trait ToHost: Send + Sync {
    /// Ends a call: exactly once for each.
    fn reply(&self, call: u64, status: u32, lent: Lent<'_>);

    /// Hands over one chunk of a stream, against one unit of credit.
    fn chunk(&self, call: u64, lent: Lent<'_>);

    /// Says something beside the replies; `call` is 0 where no call is concerned, and `json` `None` where the plugin
    /// lent what is no slice.
    fn event(&self, call: u64, level: u32, json: Option<&[u8]>);

    /// Gives the plugin an instance of its own library in another process, which answers to `host`; `None` where there
    /// is no way to. The process is started by the first call, and ends when the instance is dropped.
    fn isolate(&self, host: Arc<dyn ToHost>) -> Option<Arc<dyn ToPlugin>> {
        drop(host);
        None
    }
}

/// Where a plugin is entered with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// Makes a client.
    Open,
    /// Answers an operation of a client.
    Operation(Operation),
    /// Serves a model on this machine.
    RunLocal,
    /// Ends the instance.
    Shutdown,
    /// Answers with a text that tells a user how to use the target.
    TargetHelp,
}

impl Slot {
    /// The slot's name in the table.
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

/// A call's arguments, lent until it has begun.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has the members that the contract's own request has")]
pub struct Request<'a> {
    /// How many chunks may be sent before `credit` allows more; 0 for a plain call.
    pub credit: u32,
    /// What is left of the caller's deadline, in milliseconds; 0 for none.
    pub timeout_ms: u64,
    /// The arguments: a JSON object.
    pub head: &'a [u8],
    /// The inputs, in the format that `content_type` in the head names.
    pub body: &'a [u8],
}

/// The two parts of a reply or a chunk, each `None` where the plugin lent what is no slice.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has the members that the contract's own reply has")]
pub struct Lent<'a> {
    /// Empty, or a JSON object that says what the body is.
    pub head: Option<&'a [u8]>,
    /// The result, or the error as JSON.
    pub body: Option<&'a [u8]>,
}
