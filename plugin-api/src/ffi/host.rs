//! The plugin's view of its host: the callbacks, with owned data turned into lent slices.

use super::abi::{AbiSlice, Growing, HostApi, STATUS_ERROR, STATUS_OK};
use crate::call::{Event, Level};
use crate::{JSON, Payload, Result};

/// A copy of the host's table; the host promises that it may be called from any thread for as long as the process lives.
#[derive(Clone, Copy)]
pub(crate) struct Host(HostApi);

// SAFETY: the contract lets every function of the table be called from any thread with its `ctx`.
unsafe impl Send for Host {}
// SAFETY: as above; the copy itself is never written to.
unsafe impl Sync for Host {}

impl Host {
    /// Copies the host's table; `None` where it is no table or has no way to reply.
    ///
    /// # Safety
    /// The host promises that `api` is NULL or a table that is readable for as many bytes as its size says.
    pub(super) unsafe fn new(api: *const HostApi) -> Option<Self> {
        // SAFETY: the host's promise is passed on as it is.
        let api = unsafe { HostApi::copy_known(api) }?;
        api.reply.is_some().then_some(Self(api))
    }

    /// Ends a call.
    pub(super) fn reply(&self, call: u64, result: Result<Payload>) {
        match result {
            Ok(payload) => self.send_reply(call, STATUS_OK, &head_of(&payload), &payload.bytes),
            Err(error) => self.send_reply(call, STATUS_ERROR, &[], &error.to_json()),
        }
    }

    fn send_reply(&self, call: u64, status: u32, head: &[u8], body: &[u8]) {
        if let Some(reply) = self.0.reply {
            let (head, body) = (AbiSlice::lend(head), AbiSlice::lend(body));
            // SAFETY: the host gave this function and its `ctx` to be called so; both slices outlive the call.
            unsafe { reply(self.0.ctx, call, status, head, body) };
        }
    }

    /// Asks for an instance of this plugin in another process, which answers to `api`; `None` where the host has no way to.
    #[cfg(feature = "host")]
    pub(super) fn isolate(&self, api: &'static HostApi) -> Option<super::Table> {
        let isolate = self.0.isolate?;
        let mut functions = super::abi::PluginTable::EMPTY;
        let table = std::ptr::from_mut(&mut functions).cast();
        // SAFETY: the host gave this function and its `ctx` to be called so; `api` lives as long as the process, and
        // `functions` says its own size.
        let handle = unsafe { isolate(self.0.ctx, std::ptr::from_ref(api).cast(), table) };
        // SAFETY: the host has filled the table with functions that take what it returned.
        (!handle.is_null()).then(|| unsafe { super::Table::made(functions, handle) })
    }

    /// Hands over one chunk of a stream.
    pub(super) fn chunk(&self, call: u64, chunk: &Payload) {
        let head = head_of(chunk);
        let (head, body) = (AbiSlice::lend(&head), AbiSlice::lend(&chunk.bytes));
        if let Some(send) = self.0.chunk {
            // SAFETY: the host gave this function and its `ctx` to be called so; both slices outlive the call.
            unsafe { send(self.0.ctx, call, head, body) };
        }
    }

    /// Says something beside the replies; `call` is 0 where no call is concerned.
    pub(super) fn event(&self, call: u64, level: Level, event: &Event) {
        let json = serde_json::to_vec(event).expect("an event holds only a string and a number");
        if let Some(tell) = self.0.event {
            // SAFETY: the host gave this function and its `ctx` to be called so; the slice outlives the call.
            unsafe { tell(self.0.ctx, call, level as u32, AbiSlice::lend(&json)) };
        }
    }
}

/// The head of a reply or a chunk: empty for JSON, which is what a body is unless its head says otherwise.
fn head_of(payload: &Payload) -> Vec<u8> {
    if payload.content_type == JSON {
        return Vec::new();
    }
    serde_json::to_vec(&super::ReplyHead { content_type: Some(payload.content_type.as_str().into()) })
        .expect("a reply's head holds only a string")
}

/// The host of an instance that a plugin was given in another process is that plugin: what comes is passed on as it is.
#[cfg(feature = "host")]
impl super::ToHost for Host {
    fn reply(&self, call: u64, status: u32, lent: super::Lent<'_>) {
        if let Some(reply) = self.0.reply {
            let (head, body) = (slice(lent.head), slice(lent.body));
            // SAFETY: the plugin gave this function and its `ctx` to be called so; both slices outlive the call.
            unsafe { reply(self.0.ctx, call, status, head, body) };
        }
    }

    fn chunk(&self, call: u64, lent: super::Lent<'_>) {
        if let Some(chunk) = self.0.chunk {
            let (head, body) = (slice(lent.head), slice(lent.body));
            // SAFETY: the plugin gave this function and its `ctx` to be called so; both slices outlive the call.
            unsafe { chunk(self.0.ctx, call, head, body) };
        }
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        if let Some(event) = self.0.event {
            // SAFETY: the plugin gave this function and its `ctx` to be called so; the slice outlives the call.
            unsafe { event(self.0.ctx, call, level, slice(json)) };
        }
    }
}

/// What was no slice where it was lent first is none here either.
#[cfg(feature = "host")]
fn slice(lent: Option<&[u8]>) -> AbiSlice {
    lent.map_or(AbiSlice { ptr: std::ptr::null(), len: 1 }, AbiSlice::lend)
}
