//! An instance of a plugin that a test calls with valid and invalid arguments.

use std::ffi::c_int;
use std::fmt;
use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::lend::Loan;
use super::recorder::{HostShape, RecordedCall, RecordedEvent, Recorder, Reenter};
use super::request::{Bytes, LoanKind, Request};
use crate::ffi::abi::{AbiRequest, AbiSlice, PluginTable};
use crate::ffi::table::Table;
use crate::ffi::transport::{HostCallbacks, PluginTransport, Slot};
use crate::{Deadline, Operation};

/// A running plugin instance that a test calls. Copies share the instance.
#[derive(Clone, Copy)]
pub struct Driver {
    plugin: &'static dyn PluginTransport,
    /// The same instance, if it runs in this process. Only such an instance gets requests in guarded or fleeting
    /// memory.
    table: Option<&'static Table>,
    recorder: &'static Recorder,
}

/// The measured duration of one call to a function of the plugin.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entered {
    /// The time until the plugin's function returned.
    pub took: Duration,
}

impl Driver {
    /// Starts an instance in this process; `None` if the plugin's `init` fails.
    ///
    /// # Safety
    /// Every function in the table follows the contract of [`PluginTable`] for all arguments that the driver passes,
    /// even for invalid ones. Every function stays valid until the process ends.
    pub unsafe fn start(table: PluginTable, shape: HostShape) -> Option<Self> {
        let recorder = Recorder::new(shape);
        // SAFETY: the caller makes the promise for the table; the host's table is never freed.
        let instance = unsafe { Table::init(table, recorder.api()) }?;
        let table: &'static Table = Box::leak(Box::new(instance));
        Some(Self { plugin: table, table: Some(table), recorder })
    }

    /// Starts a plugin instance behind any transport, such as a connection to another process. `start` takes the
    /// callbacks that receive the plugin's messages, and returns the transport. The instance gets every request in
    /// ordinary memory and without unknown members.
    ///
    /// # Errors
    /// The error of `start`.
    pub fn through<P: PluginTransport + 'static, E>(
        shape: HostShape,
        start: impl FnOnce(Arc<dyn HostCallbacks>) -> Result<P, E>,
    ) -> Result<Self, E> {
        let recorder = Recorder::new(shape);
        let plugin = Box::leak(Box::new(start(Arc::new(recorder))?));
        Ok(Self { plugin, table: None, recorder })
    }

    /// Calls `init` with NULL for the host. Returns true if the plugin created an instance, although it must not.
    ///
    /// # Safety
    /// As for [`start`](Self::start).
    pub unsafe fn start_without_host(table: PluginTable) -> bool {
        // SAFETY: the caller makes the promise for the table; `api` may be NULL.
        unsafe { Table::init(table, null()) }.is_some()
    }

    /// Returns the pointer that `init` returned, as a number; `None` if the instance is not in this process.
    pub fn handle(&self) -> Option<usize> {
        self.table.map(Table::handle)
    }

    /// Returns true if the plugin has the function `slot`.
    pub fn has(&self, slot: Slot) -> bool {
        self.plugin.has(slot)
    }

    /// Returns the operations for which the plugin has a function.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        let plugin = self.plugin;
        Operation::ALL.iter().copied().filter(move |operation| plugin.has(Slot::Operation(*operation)))
    }

    /// Returns a new id for a client or a call. The id is different from all ids that drivers in this process have
    /// returned.
    pub fn fresh_id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Calls the plugin's function `slot`. Does nothing if the function is NULL.
    pub fn enter(&self, slot: Slot, client: u64, call: u64, request: &Request) -> Entered {
        self.recorder.made(call, request.credit);
        let Some(table) = self.table else {
            return timed(|| self.plugin.call(slot, client, call, &request.view()));
        };
        let borrowed = BorrowedRequest::new(request);
        // SAFETY: the request is valid until this returns.
        timed(|| unsafe { table.enter(slot, client, call, borrowed.pointer()) })
    }

    /// Closes a client.
    pub fn close(&self, client: u64) -> Entered {
        timed(|| self.plugin.close(client))
    }

    /// Cancels a call.
    pub fn cancel(&self, call: u64) -> Entered {
        timed(|| self.plugin.cancel(call))
    }

    /// Allows the plugin to send `chunks` more chunks of a call.
    pub fn credit(&self, call: u64, chunks: u32) -> Entered {
        self.recorder.grant(call, chunks);
        timed(|| self.plugin.credit(call, chunks))
    }

    /// Sets the client that a host of the shape [`HostShape::Reentrant`] closes within each `reply` callback.
    pub fn close_from_reply(&self, client: u64) {
        let _twice = self.recorder.reenter.set(Reenter { plugin: self.plugin, client });
    }

    /// Waits until the record of a call meets `condition`. Returns false if the timeout passes first.
    pub fn wait(&self, call: u64, timeout: Duration, condition: impl Fn(&RecordedCall) -> bool) -> bool {
        self.recorder.until_call(call, timeout, condition)
    }

    /// Waits until the plugin has sent `replies` replies in total. Returns false if the timeout passes first.
    pub fn wait_for_replies(&self, replies: u64, timeout: Duration) -> bool {
        self.recorder.until_replies(replies, timeout)
    }

    /// Returns the number of replies that the plugin has sent so far.
    pub fn replies(&self) -> u64 {
        self.recorder.replies()
    }

    /// Returns the record of a call. The record is empty if the id of the call is unknown.
    pub fn call(&self, call: u64) -> RecordedCall {
        self.recorder.call(call)
    }

    /// Returns the records of all calls, each with its id. Includes ids that the plugin used although the host made no
    /// such call.
    pub fn calls(&self) -> Vec<(u64, RecordedCall)> {
        self.recorder.calls()
    }

    /// Deletes the record of a call, to free its memory.
    pub fn forget(&self, call: u64) {
        self.recorder.forget(call);
    }

    /// Deletes the records of all answered calls, to free their memory.
    pub fn forget_answered(&self) {
        self.recorder.forget_answered();
    }

    /// Records only the status of later replies, and does not record later events. This saves memory.
    pub fn be_brief(&self) {
        self.recorder.brief.store(true, Ordering::Relaxed);
    }

    /// Returns the plugin's events that were recorded so far.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.recorder.events()
    }

    /// Returns the number of callbacks that plugins in this process have called with an unknown `ctx`.
    pub fn strange_contexts() -> usize {
        Recorder::unknown_contexts()
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Driver({:#x?})", self.handle())
    }
}

fn timed(enter: impl FnOnce()) -> Entered {
    let start = Instant::now();
    enter();
    Entered { took: start.elapsed() }
}

/// A request of a newer version of the contract, with members that the current version does not know.
#[repr(C)]
struct NewerRequest {
    request: AbiRequest,
    more: [usize; 4],
}

/// A request and the memory that it points to, for one call to a function of the plugin.
struct BorrowedRequest<'a> {
    newer: Box<NewerRequest>,
    guarded: Option<Loan>,
    _head: Option<Loan>,
    _body: Option<Loan>,
    _request: &'a Request,
}

impl<'a> BorrowedRequest<'a> {
    fn new(request: &'a Request) -> Self {
        let (head, head_loan) = slice(&request.head, request.loan);
        let (body, body_loan) = slice(&request.body, request.loan);
        let size = if request.newer { size_of::<NewerRequest>() } else { size_of::<AbiRequest>() };
        #[expect(clippy::cast_possible_truncation, reason = "a request is some dozen bytes long")]
        let abi = AbiRequest { size: size as u32, credit: request.credit, timeout_ms: request.timeout_ms, head, body };
        let newer = Box::new(NewerRequest { request: abi, more: [usize::MAX; 4] });
        let guarded = request.loan.filter(|_| !request.newer).map(|kind| {
            // SAFETY: the struct has no padding: its numbers have 16 bytes in total, and the slices follow.
            let bytes = unsafe { std::slice::from_raw_parts((&raw const newer.request).cast::<u8>(), size) };
            Loan::new(bytes, kind)
        });
        Self { newer, guarded, _head: head_loan, _body: body_loan, _request: request }
    }

    fn pointer(&self) -> *const AbiRequest {
        match &self.guarded {
            // The pointer is aligned: the end of a page and the size of the struct are multiples of the alignment.
            Some(loan) => loan.as_ptr().cast_const().cast(),
            None => std::ptr::from_ref(&*self.newer).cast(),
        }
    }
}

fn slice(bytes: &Bytes, kind: Option<LoanKind>) -> (AbiSlice, Option<Loan>) {
    match (bytes, kind) {
        (Bytes::Null(len), _) => (AbiSlice { ptr: null(), len: *len }, None),
        (Bytes::Valid(bytes), Some(kind)) => {
            let loan = Loan::new(bytes, kind);
            (AbiSlice { ptr: loan.as_ptr(), len: bytes.len() }, Some(loan))
        }
        (Bytes::Valid(bytes), None) => (AbiSlice::lend(bytes), None),
    }
}

/// Runs `work` in a fork of this process. Returns the result of `work`, or `None` if the fork does not end within the
/// timeout.
///
/// # Safety
/// The fork has only the calling thread. A lock that another thread holds stays locked in the fork. `work` must not
/// wait for such a lock.
pub unsafe fn in_fork(timeout: Duration, work: impl FnOnce() -> bool) -> Option<bool> {
    unsafe extern "C" {
        fn fork() -> c_int;
        safe fn _exit(code: c_int) -> !;
    }
    // SAFETY: the caller makes the promise for `work`; the child then ends without returning to its caller.
    let child = unsafe { fork() };
    if child == 0 {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        _exit(match result {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(_panicked) => 2,
        });
    }
    let child = Pid::from_raw(child)?;
    let deadline = Deadline::after(timeout);
    while !deadline.is_past() {
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
