//! Host callbacks for tests, which record their arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::ffi::abi::{ABI, AbiSlice, HostApi};
use crate::ffi::table::lent;
use crate::ffi::transport::{BorrowedReply, HostCallbacks, PluginTransport};
use crate::{Deadline, sync};

/// The kind of host that a test imitates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostShape {
    /// A host of the current version of the contract.
    #[default]
    Current,
    /// A host of a newer version, whose table is longer than that of the current version.
    Newer,
    /// A host of an older version, whose table ends after `reply`.
    Older,
    /// A host that closes a client and cancels the call while its `reply` callback runs.
    Reentrant,
    /// A host whose `chunk` callback waits, so that concurrent chunks are certain to overlap.
    Slow,
}

/// A reply that the plugin has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The status of the reply: 0 for a result, 1 for an error. Other values violate the contract.
    pub status: u32,
    /// The head of the reply; `None` if the plugin passed a NULL pointer with a length.
    pub head: Option<Vec<u8>>,
    /// The body of the reply; `None` if the plugin passed a NULL pointer with a length.
    pub body: Option<Vec<u8>>,
}

/// A chunk that the plugin has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// The head of the chunk; `None` if the plugin passed a NULL pointer with a length.
    pub head: Option<Vec<u8>>,
    /// The body of the chunk; `None` if the plugin passed a NULL pointer with a length.
    pub body: Option<Vec<u8>>,
}

/// The record of one call: the messages that the plugin has sent for it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RecordedCall {
    /// The replies to the call. The contract requires exactly one.
    pub replies: Vec<Reply>,
    /// The chunks that the plugin has sent for the call.
    pub chunks: Vec<Chunk>,
    /// The number of chunks that the host has allowed the plugin to send.
    pub credit: u64,
    /// The number of chunks that the plugin sent although the host had not allowed them.
    pub beyond_credit: usize,
    /// The number of chunks that the plugin sent after its reply.
    pub after_reply: usize,
    /// True if a chunk or reply arrived while the callback of another chunk of the call was running.
    pub overlapped: bool,
    /// True if the host made this call; false if the plugin used an unknown id.
    pub made: bool,
    inside: usize,
}

/// An event that the plugin has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedEvent {
    /// The id of the call that the event belongs to; 0 if it belongs to no call.
    pub call: u64,
    /// The severity of the event, from 1 (error) to 4 (debug). Other values violate the contract.
    pub level: u32,
    /// The event as JSON; `None` if the plugin passed a NULL pointer with a length.
    pub json: Option<Vec<u8>>,
}

/// Records the messages that a plugin sends to its host.
pub(super) struct Recorder {
    records: Mutex<Records>,
    changed: Condvar,
    shape: HostShape,
    /// True if replies are recorded by their status only and events are not recorded. This saves memory.
    pub(super) brief: AtomicBool,
    /// The client that a host of the shape `Reentrant` closes, and its plugin.
    pub(super) reenter: OnceLock<Reenter>,
}

#[derive(Default)]
struct Records {
    calls: BTreeMap<u64, RecordedCall>,
    events: Vec<RecordedEvent>,
    replies: u64,
}

pub(super) struct Reenter {
    pub(super) plugin: &'static dyn PluginTransport,
    pub(super) client: u64,
}

/// The addresses of all recorders. A `ctx` that a plugin passes is used as a pointer only if it is in this set.
static KNOWN_CONTEXTS: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// The number of callbacks that plugins have called with an unknown `ctx`.
static UNKNOWN_CONTEXTS: AtomicUsize = AtomicUsize::new(0);

/// The table of a host of a newer version. The additional members hold invalid pointers.
#[repr(C)]
struct NewerHostApi {
    api: HostApi,
    more: [usize; 8],
}

impl Recorder {
    /// Creates a recorder for a kind of host. The recorder is never freed.
    pub(super) fn new(shape: HostShape) -> &'static Self {
        Box::leak(Box::new(Self {
            records: Mutex::default(),
            changed: Condvar::new(),
            shape,
            brief: AtomicBool::new(false),
            reenter: OnceLock::new(),
        }))
    }

    /// Returns the table of the host's callbacks for a plugin in this process. The table is never freed.
    pub(super) fn api(&'static self) -> *const c_void {
        let ctx: *mut c_void = std::ptr::from_ref(self).cast_mut().cast();
        sync::lock(&KNOWN_CONTEXTS).insert(ctx.addr());
        let size = match self.shape {
            HostShape::Newer => size_of::<NewerHostApi>(),
            HostShape::Older => offset_of!(HostApi, chunk),
            _ => size_of::<HostApi>(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "the table is some dozen bytes long")]
        let api = HostApi {
            size: size as u32,
            abi: ABI,
            ctx,
            reply: Some(reply),
            chunk: Some(chunk),
            event: Some(event),
            isolate: None,
        };
        // In an older host, other memory follows the table. It does not hold a valid function.
        let mut table = Box::new(NewerHostApi { api, more: [usize::MAX; 8] });
        if self.shape == HostShape::Older {
            // A plugin that ignores the size calls these.
            table.api.chunk = Some(abort_on_chunk);
            table.api.event = Some(abort_on_event);
        }
        std::ptr::from_ref(Box::leak(table)).cast()
    }

    /// Returns the number of callbacks that plugins have called with an unknown `ctx`.
    pub(super) fn unknown_contexts() -> usize {
        UNKNOWN_CONTEXTS.load(Ordering::SeqCst)
    }

    /// Records a call that the host is about to make.
    pub(super) fn made(&self, call: u64, credit: u32) {
        let mut records = self.lock();
        let call = records.calls.entry(call).or_default();
        call.made = true;
        call.credit += u64::from(credit);
    }

    pub(super) fn grant(&self, call: u64, credit: u32) {
        self.lock().calls.entry(call).or_default().credit += u64::from(credit);
    }

    pub(super) fn call(&self, call: u64) -> RecordedCall {
        self.lock().calls.get(&call).cloned().unwrap_or_default()
    }

    /// Deletes the record of a call.
    pub(super) fn forget(&self, call: u64) {
        self.lock().calls.remove(&call);
    }

    pub(super) fn forget_answered(&self) {
        self.lock().calls.retain(|_, call| call.replies.is_empty());
    }

    pub(super) fn calls(&self) -> Vec<(u64, RecordedCall)> {
        self.lock().calls.iter().map(|(id, call)| (*id, call.clone())).collect()
    }

    pub(super) fn events(&self) -> Vec<RecordedEvent> {
        self.lock().events.clone()
    }

    pub(super) fn replies(&self) -> u64 {
        self.lock().replies
    }

    /// Waits until the records meet the condition. Returns false if the timeout passes first.
    fn until(&self, timeout: Duration, mut condition: impl FnMut(&Records) -> bool) -> bool {
        let deadline = Deadline::after(timeout);
        let mut records = self.lock();
        loop {
            if condition(&records) {
                return true;
            }
            if deadline.is_past() {
                return false;
            }
            let woken = self.changed.wait_timeout(records, deadline.remaining());
            records = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn until_call(&self, call: u64, timeout: Duration, condition: impl Fn(&RecordedCall) -> bool) -> bool {
        self.until(timeout, |records| records.calls.get(&call).is_some_and(&condition))
    }

    pub(super) fn until_replies(&self, replies: u64, timeout: Duration) -> bool {
        self.until(timeout, |records| records.replies >= replies)
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        sync::lock(&self.records)
    }
}

impl HostCallbacks for &'static Recorder {
    fn reply(&self, call: u64, status: u32, lent: BorrowedReply<'_>) {
        let mut records = self.lock();
        records.replies += 1;
        let call = records.calls.entry(call).or_default();
        call.overlapped |= call.inside > 0;
        let kept = if self.brief.load(Ordering::Relaxed) { BorrowedReply::default() } else { lent };
        call.replies.push(Reply { status, head: kept.head.map(<[u8]>::to_vec), body: kept.body.map(<[u8]>::to_vec) });
        drop(records);
        self.changed.notify_all();
        if let (HostShape::Reentrant, Some(Reenter { plugin, client })) = (self.shape, self.reenter.get()) {
            plugin.close(*client);
            plugin.cancel(u64::MAX);
        }
    }

    fn chunk(&self, id: u64, lent: BorrowedReply<'_>) {
        let mut records = self.lock();
        let call = records.calls.entry(id).or_default();
        call.overlapped |= call.inside > 0;
        call.inside += 1;
        call.after_reply += usize::from(!call.replies.is_empty());
        call.beyond_credit += usize::from(call.chunks.len() as u64 >= call.credit);
        call.chunks.push(Chunk { head: lent.head.map(<[u8]>::to_vec), body: lent.body.map(<[u8]>::to_vec) });
        drop(records);
        self.changed.notify_all();
        if self.shape == HostShape::Slow {
            // Waits for a concurrent chunk.
            self.until(Duration::from_millis(50), |records| records.calls.get(&id).is_some_and(|call| call.overlapped));
        }
        if let Some(call) = self.lock().calls.get_mut(&id) {
            call.inside -= 1;
        }
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        if self.brief.load(Ordering::Relaxed) {
            return;
        }
        self.lock().events.push(RecordedEvent { call, level, json: json.map(<[u8]>::to_vec) });
        self.changed.notify_all();
    }
}

/// Returns the recorder that `ctx` points to; `None` if no recorder has this address.
fn recorder(ctx: *mut c_void) -> Option<&'static Recorder> {
    if !sync::lock(&KNOWN_CONTEXTS).contains(&ctx.addr()) {
        UNKNOWN_CONTEXTS.fetch_add(1, Ordering::SeqCst);
        return None;
    }
    // SAFETY: the address is that of a recorder, which is never freed.
    unsafe { ctx.cast::<Recorder>().cast_const().as_ref() }
}

unsafe extern "C" fn reply(ctx: *mut c_void, call: u64, status: u32, head: AbiSlice, body: AbiSlice) {
    let Some(recorder) = recorder(ctx) else { return };
    // SAFETY: both slices are valid for this function.
    recorder.reply(call, status, unsafe { lent(&head, &body) });
}

unsafe extern "C" fn chunk(ctx: *mut c_void, call: u64, head: AbiSlice, body: AbiSlice) {
    let Some(recorder) = recorder(ctx) else { return };
    // SAFETY: both slices are valid for this function.
    recorder.chunk(call, unsafe { lent(&head, &body) });
}

unsafe extern "C" fn event(ctx: *mut c_void, call: u64, level: u32, json: AbiSlice) {
    let Some(recorder) = recorder(ctx) else { return };
    // SAFETY: the slice is valid for this function.
    recorder.event(call, level, unsafe { json.bytes() });
}

/// Aborts the process, because the plugin has called `chunk`, which is past the end of an older host's table.
unsafe extern "C" fn abort_on_chunk(_: *mut c_void, _: u64, _: AbiSlice, _: AbiSlice) {
    std::process::abort();
}

/// Aborts the process, because the plugin has called `event`, which is past the end of an older host's table.
unsafe extern "C" fn abort_on_event(_: *mut c_void, _: u64, _: u32, _: AbiSlice) {
    std::process::abort();
}
