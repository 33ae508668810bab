//! An instance of a plugin, to be called with anything.

use std::ffi::c_int;
use std::fmt;
use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::lend::Loan;
use super::recorder::{Call, Event, HostShape, Recorder, Reenter};
use super::request::{Bytes, Kind, Request};
use crate::Operation;
use crate::ffi::abi::{AbiRequest, AbiSlice, PluginTable};
use crate::ffi::seam::{Slot, ToHost, ToPlugin};
use crate::ffi::table::Table;

/// A running instance of a plugin. Clones share it.
#[derive(Clone, Copy)]
pub struct Driver {
    plugin: &'static dyn ToPlugin,
    /// The same, where it is in this process: it can be lent what no carrier would carry.
    table: Option<&'static Table>,
    recorder: &'static Recorder,
}

/// How a slot was entered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entered {
    /// How long it took until it returned.
    pub took: Duration,
}

impl Driver {
    /// Makes an instance in this process; `None` where the plugin says that it failed.
    pub fn start(table: PluginTable, shape: HostShape) -> Option<Self> {
        let recorder = Recorder::new(shape);
        // SAFETY: the host's table lives as long as the process; the rest is the plugin's promise, which is being tested.
        let instance = unsafe { Table::init(table, recorder.api()) }?;
        let table: &'static Table = Box::leak(Box::new(instance));
        Some(Self { plugin: table, table: Some(table), recorder })
    }

    /// Makes an instance that is somewhere else, and called through whatever `start` makes for this host. What only a
    /// table can be lent, such as a request of another version, is lent as usual there.
    ///
    /// # Errors
    /// What `start` says.
    pub fn through<P: ToPlugin + 'static, E>(
        shape: HostShape,
        start: impl FnOnce(Arc<dyn ToHost>) -> Result<P, E>,
    ) -> Result<Self, E> {
        let recorder = Recorder::new(shape);
        let plugin = Box::leak(Box::new(start(Arc::new(recorder))?));
        Ok(Self { plugin, table: None, recorder })
    }

    /// Asks for an instance without giving a host; returns whether the plugin made one all the same.
    pub fn start_without_host(table: PluginTable) -> bool {
        // SAFETY: NULL is not a host, and `init` is to say so.
        unsafe { Table::init(table, null()) }.is_some()
    }

    /// What `init` returned, as a number; `None` where that was not in this process.
    pub fn handle(&self) -> Option<usize> {
        self.table.map(Table::handle)
    }

    /// Whether the plugin has the slot.
    pub fn has(&self, slot: Slot) -> bool {
        self.plugin.has(slot)
    }

    /// The operations that have a slot.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        let plugin = self.plugin;
        Operation::ALL.iter().copied().filter(move |operation| plugin.has(Slot::Operation(*operation)))
    }

    /// An id that was not used before.
    pub fn fresh_id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters a slot; one that is NULL is not entered.
    pub fn enter(&self, slot: Slot, client: u64, call: u64, request: &Request) -> Entered {
        self.recorder.made(call, request.credit);
        let Some(table) = self.table else {
            return timed(|| self.plugin.call(slot, client, call, &request.said()));
        };
        let lent = Lent::new(request);
        // SAFETY: the request is lent until this returns.
        timed(|| unsafe { table.enter(slot, client, call, lent.pointer()) })
    }

    /// Closes a client.
    pub fn close(&self, client: u64) -> Entered {
        timed(|| self.plugin.close(client))
    }

    /// Gives a call up.
    pub fn cancel(&self, call: u64) -> Entered {
        timed(|| self.plugin.cancel(call))
    }

    /// Allows a call more chunks.
    pub fn credit(&self, call: u64, chunks: u32) -> Entered {
        self.recorder.grant(call, chunks);
        timed(|| self.plugin.credit(call, chunks))
    }

    /// Lets the reentrant host close this client from within every reply that comes.
    pub fn close_from_reply(&self, client: u64) {
        let _twice = self.recorder.reenter.set(Reenter { plugin: self.plugin, client });
    }

    /// Waits until something is so of a call, for so long at most; returns whether it is.
    pub fn wait(&self, call: u64, patience: Duration, is_so: impl Fn(&Call) -> bool) -> bool {
        self.recorder.until_call(call, patience, is_so)
    }

    /// Waits until so many replies have come altogether; returns whether they have.
    pub fn wait_for_replies(&self, replies: u64, patience: Duration) -> bool {
        self.recorder.until_answered(replies, patience)
    }

    /// How many replies have come altogether.
    pub fn replies(&self) -> u64 {
        self.recorder.answered()
    }

    /// What came for a call so far.
    pub fn call(&self, call: u64) -> Call {
        self.recorder.call(call)
    }

    /// What came for every call so far, also for those that were never made.
    pub fn calls(&self) -> Vec<(u64, Call)> {
        self.recorder.calls()
    }

    /// Forgets what came for a call, so that many calls take no memory.
    pub fn forget(&self, call: u64) {
        self.recorder.forget(call);
    }

    /// Forgets the calls that are answered, so that many calls take no memory.
    pub fn forget_answered(&self) {
        self.recorder.forget_answered();
    }

    /// Keeps the status of replies alone from now on.
    pub fn be_brief(&self) {
        self.recorder.brief.store(true, Ordering::Relaxed);
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.recorder.events()
    }

    /// How often any plugin of this process called back with a `ctx` that it was not given.
    pub fn strange_contexts() -> usize {
        Recorder::strange()
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Driver({:#x?})", self.handle())
    }
}

fn timed(enter: impl FnOnce()) -> Entered {
    let begun = Instant::now();
    enter();
    Entered { took: begun.elapsed() }
}

/// A request of a later version.
#[repr(C)]
struct Newer {
    request: AbiRequest,
    more: [usize; 4],
}

/// A request with all that it lends, for the duration of one slot.
struct Lent<'a> {
    newer: Box<Newer>,
    guarded: Option<Loan>,
    _head: Option<Loan>,
    _body: Option<Loan>,
    _request: &'a Request,
}

impl<'a> Lent<'a> {
    fn new(request: &'a Request) -> Self {
        let (head, head_loan) = slice(&request.head, request.loan);
        let (body, body_loan) = slice(&request.body, request.loan);
        let size = if request.newer { size_of::<Newer>() } else { size_of::<AbiRequest>() };
        #[expect(clippy::cast_possible_truncation, reason = "a request is some dozen bytes long")]
        let abi = AbiRequest { size: size as u32, credit: request.credit, timeout_ms: request.timeout_ms, head, body };
        let newer = Box::new(Newer { request: abi, more: [usize::MAX; 4] });
        let guarded = request.loan.filter(|_| !request.newer).map(|kind| {
            // SAFETY: the struct has no padding: three numbers of 16 bytes together, and two slices.
            let bytes = unsafe { std::slice::from_raw_parts((&raw const newer.request).cast::<u8>(), size) };
            Loan::new(bytes, kind)
        });
        Self { newer, guarded, _head: head_loan, _body: body_loan, _request: request }
    }

    fn pointer(&self) -> *const AbiRequest {
        match &self.guarded {
            // A page ends at a multiple of what the struct is aligned to, and its size is one.
            Some(loan) => loan.as_ptr().cast_const().cast(),
            None => std::ptr::from_ref(&*self.newer).cast(),
        }
    }
}

fn slice(bytes: &Bytes, kind: Option<Kind>) -> (AbiSlice, Option<Loan>) {
    match (bytes, kind) {
        (Bytes::Null(len), _) => (AbiSlice { ptr: null(), len: *len }, None),
        (Bytes::Lent(bytes), Some(kind)) => {
            let loan = Loan::new(bytes, kind);
            (AbiSlice { ptr: loan.as_ptr(), len: bytes.len() }, Some(loan))
        }
        (Bytes::Lent(bytes), None) => (AbiSlice::lend(bytes), None),
    }
}

/// Runs something in a fork of this process, and says whether it said yes before its time was up.
///
/// The fork has this thread alone, and whatever other threads held stays locked: do little there.
pub fn in_fork(patience: Duration, work: impl FnOnce() -> bool) -> Option<bool> {
    unsafe extern "C" {
        fn fork() -> c_int;
        safe fn _exit(code: c_int) -> !;
    }
    // SAFETY: the child runs `work`, and ends without returning to its caller.
    let child = unsafe { fork() };
    if child == 0 {
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        _exit(match said {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(_panicked) => 2,
        });
    }
    let child = Pid::from_raw(child)?;
    let end = Instant::now() + patience;
    while Instant::now() < end {
        match waitpid(Some(child), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => return Some(status.exit_status() == Some(0)),
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Err(_gone) => return None,
        }
    }
    let _gone = rustix::process::kill_process(child, rustix::process::Signal::KILL);
    let _reaped = waitpid(Some(child), WaitOptions::empty());
    None
}
