//! Transports messages between the host and a plugin's library in this process. Messages to the plugin go through the
//! functions of its table. Messages to the host go through its callbacks.

use std::ffi::c_void;
use std::sync::Arc;

use super::abi::{ABI, AbiRequest, AbiSlice, HostApi, PluginTable};
use super::catch_unwind::catch_panic;
use super::relay;
use super::transport::{BorrowedReply, HostCallbacks, PluginTransport, Request, Slot};
use crate::{Error, ErrorCode, Result};

/// A plugin instance in this process, and the functions of its table.
#[derive(Debug)]
pub struct Table {
    functions: PluginTable,
    /// The pointer that the plugin's `init` returned.
    handle: *mut c_void,
}

// SAFETY: the contract lets every function of the table be called from any thread with the pointer that `init`
// returned.
unsafe impl Send for Table {}
// SAFETY: as above; the fields are never written to.
unsafe impl Sync for Table {}

impl Table {
    /// Starts an instance of the plugin. The instance may call `host` until the process ends. Blocks while the plugin's
    /// `init` runs.
    ///
    /// # Safety
    /// Every function in the table follows the contract of [`PluginTable`], and stays valid until the process ends.
    ///
    /// # Errors
    /// `PLUGIN_LOAD_FAILED` if the plugin's `init` fails.
    pub unsafe fn start(functions: PluginTable, host: Arc<dyn HostCallbacks>) -> Result<Self> {
        // SAFETY: the caller makes the promise for the table; the host's table is never freed.
        let instance = unsafe { Self::init(functions, std::ptr::from_ref(api(host)).cast()) };
        instance.ok_or_else(|| Error::new(ErrorCode::PLUGIN_LOAD_FAILED, "the plugin's `init` failed"))
    }

    /// Starts an instance whose host is `api`; `None` if the plugin's `init` fails.
    ///
    /// # Safety
    /// As for [`start`](Self::start). `api` is NULL, or a host's table that is never freed.
    pub(super) unsafe fn init(functions: PluginTable, api: *const c_void) -> Option<Self> {
        let init = functions.init?;
        // SAFETY: the caller makes the promise for both.
        let handle = unsafe { init(api) };
        (!handle.is_null()).then_some(Self { functions, handle })
    }

    /// Returns a transport to an instance that exists already. `handle` becomes the first argument of the table's
    /// functions.
    ///
    /// # Safety
    /// As for [`start`](Self::start). `handle` must be the pointer that the functions expect.
    pub(super) unsafe fn made(functions: PluginTable, handle: *mut c_void) -> Self {
        Self { functions, handle }
    }

    /// Returns the pointer that the plugin's `init` returned, as a number.
    #[cfg(feature = "testing")]
    pub(super) fn handle(&self) -> usize {
        self.handle.addr()
    }

    /// Calls the function `slot` of the table. Does nothing if the function is NULL.
    ///
    /// # Safety
    /// `request` points to a request that is valid until this function returns.
    pub(super) unsafe fn enter(&self, slot: Slot, client: u64, call: u64, request: *const AbiRequest) {
        let of_client = match slot {
            Slot::Open => self.functions.open,
            Slot::Operation(operation) => self.functions.slot(operation),
            Slot::RunLocal | Slot::Shutdown | Slot::TargetHelp => None,
        };
        let of_plugin = match slot {
            Slot::RunLocal => self.functions.run_local,
            Slot::TargetHelp => self.functions.target_help,
            Slot::Open | Slot::Operation(_) | Slot::Shutdown => None,
        };
        if let Some(enter) = of_client {
            // SAFETY: the caller of `start` makes the promise for the table, and the caller of this function for the
            // request.
            unsafe { enter(self.handle, client, call, request) };
        } else if let Some(enter) = of_plugin {
            // SAFETY: the caller of `start` makes the promise for the table, and the caller of this function for the
            // request.
            unsafe { enter(self.handle, call, request) };
        } else if let (Slot::Shutdown, Some(shutdown)) = (slot, self.functions.shutdown) {
            // SAFETY: the caller of `start` makes the promise for the table.
            unsafe { shutdown(self.handle, call) };
        }
    }
}

impl PluginTransport for Table {
    fn has(&self, slot: Slot) -> bool {
        match slot {
            Slot::Open => self.functions.open.is_some(),
            Slot::Operation(operation) => self.functions.slot(operation).is_some(),
            Slot::RunLocal => self.functions.run_local.is_some(),
            Slot::Shutdown => self.functions.shutdown.is_some(),
            Slot::TargetHelp => self.functions.target_help.is_some(),
        }
    }

    fn call(&self, slot: Slot, client: u64, call: u64, request: &Request<'_>) {
        let request = to_abi(request);
        // SAFETY: the request outlives the call.
        unsafe { self.enter(slot, client, call, &raw const request) };
    }

    fn close(&self, client: u64) {
        if let Some(close) = self.functions.close {
            // SAFETY: the caller of `start` makes the promise for the table.
            unsafe { close(self.handle, client) };
        }
    }

    fn cancel(&self, call: u64) {
        if let Some(cancel) = self.functions.cancel {
            // SAFETY: the caller of `start` makes the promise for the table.
            unsafe { cancel(self.handle, call) };
        }
    }

    fn credit(&self, call: u64, chunks: u32) {
        if let Some(credit) = self.functions.credit {
            // SAFETY: the caller of `start` makes the promise for the table.
            unsafe { credit(self.handle, call, chunks) };
        }
    }
}

fn to_abi(request: &Request<'_>) -> AbiRequest {
    #[expect(clippy::cast_possible_truncation, reason = "the struct is some dozen bytes long")]
    const SIZE: u32 = size_of::<AbiRequest>() as u32;
    AbiRequest {
        size: SIZE,
        credit: request.credit,
        timeout_ms: request.timeout_ms,
        head: AbiSlice::lend(request.head),
        body: AbiSlice::lend(request.body),
    }
}

/// Returns a table of the host's callbacks for a plugin. The table is never freed, because a plugin may use it at any
/// later time.
pub(super) fn api(host: Arc<dyn HostCallbacks>) -> &'static HostApi {
    let host: &'static Arc<dyn HostCallbacks> = Box::leak(Box::new(host));
    #[expect(clippy::cast_possible_truncation, reason = "the table is some dozen bytes long")]
    Box::leak(Box::new(HostApi {
        size: size_of::<HostApi>() as u32,
        abi: ABI,
        ctx: std::ptr::from_ref(host).cast_mut().cast(),
        reply: Some(reply),
        chunk: Some(chunk),
        event: Some(event),
        isolate: Some(isolate),
    }))
}

/// Calls `work` with the host that `ctx` points to. Catches a panic of the host, which must not unwind into the plugin.
fn callback(ctx: *mut c_void, work: impl FnOnce(&dyn HostCallbacks)) {
    // SAFETY: `ctx` is the host that `api` leaked, together with the table that the plugin has.
    if let Some(host) = unsafe { ctx.cast::<Arc<dyn HostCallbacks>>().cast_const().as_ref() } {
        let _caught = catch_panic(|| work(host.as_ref()));
    }
}

unsafe extern "C" fn reply(ctx: *mut c_void, call: u64, status: u32, head: AbiSlice, body: AbiSlice) {
    callback(ctx, |host| {
        // SAFETY: both slices are valid for this function, see `HostApi::reply`.
        host.reply(call, status, unsafe { lent(&head, &body) });
    });
}

unsafe extern "C" fn chunk(ctx: *mut c_void, call: u64, head: AbiSlice, body: AbiSlice) {
    callback(ctx, |host| {
        // SAFETY: both slices are valid for this function, see `HostApi::chunk`.
        host.chunk(call, unsafe { lent(&head, &body) });
    });
}

unsafe extern "C" fn event(ctx: *mut c_void, call: u64, level: u32, json: AbiSlice) {
    callback(ctx, |host| {
        // SAFETY: the slice is valid for this function, see `HostApi::event`.
        host.event(call, level, unsafe { json.bytes() });
    });
}

unsafe extern "C" fn isolate(ctx: *mut c_void, host: *const c_void, table: *mut c_void) -> *mut c_void {
    let mut instance = std::ptr::null_mut();
    callback(ctx, |to_host| {
        // SAFETY: the plugin passes a host's table, and memory for a plugin's table, see `HostApi::isolate`.
        instance = unsafe { relay::lend(to_host, host.cast(), table.cast()) };
    });
    instance
}

/// Borrows the head and the body of a reply or a chunk.
///
/// # Safety
/// Both slices are readable while they are borrowed.
pub(super) unsafe fn lent<'a>(head: &'a AbiSlice, body: &'a AbiSlice) -> BorrowedReply<'a> {
    // SAFETY: the caller makes the same promise.
    let head = unsafe { head.bytes() };
    // SAFETY: the caller makes the same promise.
    let body = unsafe { body.bytes() };
    BorrowedReply { head, body }
}
