//! The host's callbacks, which note whatever they are called with.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::ffi::abi::{ABI, AbiSlice, HostApi};
use crate::ffi::seam::{Lent, ToHost, ToPlugin};
use crate::ffi::table::lent;

/// Which host a plugin meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostShape {
    /// The host of this version.
    #[default]
    Current,
    /// One whose table is longer than is known.
    Newer,
    /// One whose table ends after `reply`.
    Older,
    /// One that closes the client and cancels the call from within `reply`.
    Reentrant,
    /// One that takes its time over chunks, so that chunks that overlap do so for sure.
    Slow,
}

/// A reply as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The status, 0 or 1 by the contract.
    pub status: u32,
    /// The head; `None` for a slice that is NULL and not empty.
    pub head: Option<Vec<u8>>,
    /// The body; `None` for a slice that is NULL and not empty.
    pub body: Option<Vec<u8>>,
}

/// A chunk as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// The head; `None` for a slice that is NULL and not empty.
    pub head: Option<Vec<u8>>,
    /// The body; `None` for a slice that is NULL and not empty.
    pub body: Option<Vec<u8>>,
}

/// All that came for one call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Call {
    /// The replies: one, by the contract.
    pub replies: Vec<Reply>,
    /// The chunks.
    pub chunks: Vec<Chunk>,
    /// How many chunks the host has allowed.
    pub credit: u64,
    /// How many chunks came without credit.
    pub beyond_credit: usize,
    /// How many chunks came after the reply.
    pub after_reply: usize,
    /// Whether a chunk or reply came while another chunk of the call was being taken.
    pub overlapped: bool,
    /// Whether the host made this call.
    pub made: bool,
    inside: usize,
}

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The call that it concerns, 0 for none.
    pub call: u64,
    /// How much it matters, 1 to 4 by the contract.
    pub level: u32,
    /// What it says; `None` for a slice that is NULL and not empty.
    pub json: Option<Vec<u8>>,
}

/// Notes whatever a plugin says.
pub(super) struct Recorder {
    state: Mutex<State>,
    changed: Condvar,
    shape: HostShape,
    /// Notes replies as numbers alone, where there are too many to keep.
    pub(super) brief: AtomicBool,
    /// What the reentrant host calls back into.
    pub(super) reenter: OnceLock<Reenter>,
}

#[derive(Default)]
struct State {
    calls: BTreeMap<u64, Call>,
    events: Vec<Event>,
    answered: u64,
}

pub(super) struct Reenter {
    pub(super) plugin: &'static dyn ToPlugin,
    pub(super) client: u64,
}

/// The `ctx` of every recorder there is: what comes back is looked up before it is believed.
static KNOWN: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// How often a callback was called with a `ctx` that no host gave out.
static STRANGE: AtomicUsize = AtomicUsize::new(0);

/// A table with members that this version does not know, filled with what is no pointer.
#[repr(C)]
struct Newer {
    api: HostApi,
    more: [usize; 8],
}

impl Recorder {
    /// Makes a recorder, which lives as long as the process.
    pub(super) fn new(shape: HostShape) -> &'static Self {
        Box::leak(Box::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            shape,
            brief: AtomicBool::new(false),
            reenter: OnceLock::new(),
        }))
    }

    /// The table that leads to it, for a plugin in this process. It lives as long.
    pub(super) fn api(&'static self) -> *const c_void {
        let ctx: *mut c_void = std::ptr::from_ref(self).cast_mut().cast();
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(ctx.addr());
        let size = match self.shape {
            HostShape::Newer => size_of::<Newer>(),
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
        // Also an older host's table has something behind it: what is read there is no function.
        let mut table = Box::new(Newer { api, more: [usize::MAX; 8] });
        if self.shape == HostShape::Older {
            // A pointer that is called by whoever does not look at the size.
            table.api.chunk = Some(never);
            table.api.event = Some(never_event);
        }
        std::ptr::from_ref(Box::leak(table)).cast()
    }

    /// How often a callback was called with a `ctx` that no host gave out.
    pub(super) fn strange() -> usize {
        STRANGE.load(Ordering::SeqCst)
    }

    /// Notes a call that is about to be made.
    pub(super) fn made(&self, call: u64, credit: u32) {
        let mut state = self.lock();
        let call = state.calls.entry(call).or_default();
        call.made = true;
        call.credit += u64::from(credit);
    }

    pub(super) fn grant(&self, call: u64, credit: u32) {
        self.lock().calls.entry(call).or_default().credit += u64::from(credit);
    }

    pub(super) fn call(&self, call: u64) -> Call {
        self.lock().calls.get(&call).cloned().unwrap_or_default()
    }

    /// Forgets a call, so that many calls take no memory of ours.
    pub(super) fn forget(&self, call: u64) {
        self.lock().calls.remove(&call);
    }

    pub(super) fn forget_answered(&self) {
        self.lock().calls.retain(|_, call| call.replies.is_empty());
    }

    pub(super) fn calls(&self) -> Vec<(u64, Call)> {
        self.lock().calls.iter().map(|(id, call)| (*id, call.clone())).collect()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    pub(super) fn answered(&self) -> u64 {
        self.lock().answered
    }

    /// Waits until something is so, for so long at most; returns whether it is.
    fn until(&self, patience: Duration, mut is_so: impl FnMut(&State) -> bool) -> bool {
        let end = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if is_so(&state) {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn until_call(&self, call: u64, patience: Duration, is_so: impl Fn(&Call) -> bool) -> bool {
        self.until(patience, |state| state.calls.get(&call).is_some_and(&is_so))
    }

    pub(super) fn until_answered(&self, replies: u64, patience: Duration) -> bool {
        self.until(patience, |state| state.answered >= replies)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ToHost for &'static Recorder {
    fn reply(&self, call: u64, status: u32, lent: Lent<'_>) {
        let mut state = self.lock();
        state.answered += 1;
        let call = state.calls.entry(call).or_default();
        call.overlapped |= call.inside > 0;
        let kept = if self.brief.load(Ordering::Relaxed) { Lent::default() } else { lent };
        call.replies.push(Reply { status, head: kept.head.map(<[u8]>::to_vec), body: kept.body.map(<[u8]>::to_vec) });
        drop(state);
        self.changed.notify_all();
        if let (HostShape::Reentrant, Some(Reenter { plugin, client })) = (self.shape, self.reenter.get()) {
            plugin.close(*client);
            plugin.cancel(u64::MAX);
        }
    }

    fn chunk(&self, id: u64, lent: Lent<'_>) {
        let mut state = self.lock();
        let call = state.calls.entry(id).or_default();
        call.overlapped |= call.inside > 0;
        call.inside += 1;
        call.after_reply += usize::from(!call.replies.is_empty());
        call.beyond_credit += usize::from(call.chunks.len() as u64 >= call.credit);
        call.chunks.push(Chunk { head: lent.head.map(<[u8]>::to_vec), body: lent.body.map(<[u8]>::to_vec) });
        drop(state);
        self.changed.notify_all();
        if self.shape == HostShape::Slow {
            // Whoever sends another one meanwhile is seen to.
            self.until(Duration::from_millis(50), |state| state.calls.get(&id).is_some_and(|call| call.overlapped));
        }
        if let Some(call) = self.lock().calls.get_mut(&id) {
            call.inside -= 1;
        }
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        self.lock().events.push(Event { call, level, json: json.map(<[u8]>::to_vec) });
        self.changed.notify_all();
    }
}

/// The recorder behind a `ctx`, where there is one.
fn recorder(ctx: *mut c_void) -> Option<&'static Recorder> {
    if !KNOWN.lock().unwrap_or_else(PoisonError::into_inner).contains(&ctx.addr()) {
        STRANGE.fetch_add(1, Ordering::SeqCst);
        return None;
    }
    // SAFETY: the address is that of a recorder, which was leaked.
    unsafe { ctx.cast::<Recorder>().cast_const().as_ref() }
}

unsafe extern "C" fn reply(ctx: *mut c_void, call: u64, status: u32, head: AbiSlice, body: AbiSlice) {
    let Some(recorder) = recorder(ctx) else { return };
    // SAFETY: the plugin lends both slices for this function.
    recorder.reply(call, status, unsafe { lent(&head, &body) });
}

unsafe extern "C" fn chunk(ctx: *mut c_void, call: u64, head: AbiSlice, body: AbiSlice) {
    let Some(recorder) = recorder(ctx) else { return };
    // SAFETY: the plugin lends both slices for this function.
    recorder.chunk(call, unsafe { lent(&head, &body) });
}

unsafe extern "C" fn event(ctx: *mut c_void, call: u64, level: u32, json: AbiSlice) {
    let Some(recorder) = recorder(ctx) else { return };
    // SAFETY: the plugin lends the slice for this function.
    recorder.event(call, level, unsafe { json.bytes() });
}

/// Where an older host has nothing: whoever calls it has read beyond the table.
unsafe extern "C" fn never(_: *mut c_void, _: u64, _: AbiSlice, _: AbiSlice) {
    std::process::abort();
}

/// As [`never()`].
unsafe extern "C" fn never_event(_: *mut c_void, _: u64, _: u32, _: AbiSlice) {
    std::process::abort();
}
