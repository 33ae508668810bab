//! Calls the callbacks of a plugin's host. Passes owned data to them as borrowed slices.

use super::abi::{AbiSlice, HostApi, STATUS_ERROR, STATUS_OK, SizedStruct};
use super::head::ReplyHead;
#[cfg(feature = "host")]
use super::transport::{BorrowedReply, HostCallbacks};
use crate::event::{Event, Level};
use crate::{JSON, Payload, Result};

/// A copy of the table of the host's callbacks. The callbacks may be called from any thread until the process ends.
#[derive(Clone, Copy)]
pub(crate) struct Host(pub(super) HostApi);

// SAFETY: the contract lets every function of the table be called from any thread with its `ctx`.
unsafe impl Send for Host {}
// SAFETY: as above; the copy is never written to.
unsafe impl Sync for Host {}

impl Host {
    /// Copies the table of the host's callbacks. Returns `None` if the table is NULL, too small, or lacks `reply`.
    ///
    /// # Safety
    /// `api` is NULL, or a table that starts with its size and has that many readable bytes.
    pub(super) unsafe fn new(api: *const HostApi) -> Option<Self> {
        // SAFETY: the caller makes the same promise.
        let api = unsafe { HostApi::copy_known(api) }?;
        api.reply.is_some().then_some(Self(api))
    }

    /// Returns true if both are the host of the same instance.
    pub(super) fn is(&self, other: Self) -> bool {
        self.0.ctx == other.0.ctx
    }

    /// Ends a call: passes its result or its error to the host.
    pub(super) fn reply(&self, call: u64, result: Result<Payload>) {
        match result {
            Ok(payload) => self.send_reply(call, STATUS_OK, &head_of(&payload), &payload.bytes),
            Err(error) => self.send_reply(call, STATUS_ERROR, &[], &error.to_json()),
        }
    }

    fn send_reply(&self, call: u64, status: u32, head: &[u8], body: &[u8]) {
        if let Some(reply) = self.0.reply {
            let (head, body) = (AbiSlice::lend(head), AbiSlice::lend(body));
            // SAFETY: the host passed this function with its `ctx`; both slices outlive the call.
            unsafe { reply(self.0.ctx, call, status, head, body) };
        }
    }

    /// Sends one chunk of a stream to the host.
    pub(crate) fn chunk(&self, call: u64, chunk: &Payload) {
        let head = head_of(chunk);
        let (head, body) = (AbiSlice::lend(&head), AbiSlice::lend(&chunk.bytes));
        if let Some(send) = self.0.chunk {
            // SAFETY: the host passed this function with its `ctx`; both slices outlive the call.
            unsafe { send(self.0.ctx, call, head, body) };
        }
    }

    /// Sends an event to the host; `call` is 0 if the event belongs to no call.
    pub(crate) fn event(&self, call: u64, level: Level, event: &Event) {
        let json = serde_json::to_vec(event).expect("an event consists of a string and a number");
        if let Some(send) = self.0.event {
            // SAFETY: the host passed this function with its `ctx`; the slice outlives the call.
            unsafe { send(self.0.ctx, call, level as u32, AbiSlice::lend(&json)) };
        }
    }
}

/// Returns the head of a reply or a chunk, which contains the media type of the body. The head is empty for JSON, the
/// default media type.
fn head_of(payload: &Payload) -> Vec<u8> {
    if payload.content_type == JSON {
        return Vec::new();
    }
    serde_json::to_vec(&ReplyHead { content_type: Some(payload.content_type().into()) })
        .expect("a reply's head consists of a string")
}

/// Passes the messages of an isolated instance, which is the same plugin in another process, to the plugin unchanged.
/// The plugin acts as the host of that instance.
#[cfg(feature = "host")]
impl HostCallbacks for Host {
    fn reply(&self, call: u64, status: u32, lent: BorrowedReply<'_>) {
        if let Some(reply) = self.0.reply {
            let (head, body) = (slice(lent.head), slice(lent.body));
            // SAFETY: the plugin passed this function with its `ctx`; both slices outlive the call.
            unsafe { reply(self.0.ctx, call, status, head, body) };
        }
    }

    fn chunk(&self, call: u64, lent: BorrowedReply<'_>) {
        if let Some(chunk) = self.0.chunk {
            let (head, body) = (slice(lent.head), slice(lent.body));
            // SAFETY: the plugin passed this function with its `ctx`; both slices outlive the call.
            unsafe { chunk(self.0.ctx, call, head, body) };
        }
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        if let Some(event) = self.0.event {
            // SAFETY: the plugin passed this function with its `ctx`; the slice outlives the call.
            unsafe { event(self.0.ctx, call, level, slice(json)) };
        }
    }
}

/// Returns the bytes as a slice, or an invalid slice for `None`. `None` means that the isolated instance passed an
/// invalid slice.
#[cfg(feature = "host")]
fn slice(lent: Option<&[u8]>) -> AbiSlice {
    lent.map_or(AbiSlice { ptr: std::ptr::null(), len: 1 }, AbiSlice::lend)
}
