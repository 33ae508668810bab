//! The host's side of isolation: gives a plugin an instance of its own library in another process.
//!
//! The plugin gets a table whose functions pass messages to that instance. The plugin calls these functions as a host
//! does, and its callbacks receive the instance's messages.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::abi::{AbiRequest, HostApi, PluginTable, SizedStruct};
use super::catch_unwind::catch_panic;
use super::host::Host;
use super::transport::{BorrowedReply, HostCallbacks, PluginTransport, Request, Slot};
use crate::{Operation, sync};

/// The transport to an isolated instance, until the instance is shut down.
#[derive(Default)]
struct Relay {
    plugin: Mutex<Option<Arc<dyn PluginTransport>>>,
    /// The id of the call that shuts the isolated instance down; 0 before that call.
    shutdown_call: AtomicU64,
}

/// The plugin in its role as the host of its isolated instance.
struct PluginAsHost {
    host: Host,
    relay: Arc<Relay>,
}

/// Creates an isolated instance of the plugin, and fills `table` with functions that pass calls on to the instance.
/// Returns the handle of the instance, or NULL on failure.
///
/// # Safety
/// `api` is NULL, or a host's table that is never freed. `table` is NULL, or starts with its size and has that many
/// writable bytes.
pub(super) unsafe fn lend(to_host: &dyn HostCallbacks, api: *const HostApi, table: *mut PluginTable) -> *mut c_void {
    let null = std::ptr::null_mut();
    // SAFETY: the caller makes the same promise.
    let host = unsafe { Host::new(api) };
    // SAFETY: as above.
    let known = unsafe { PluginTable::copy_known(table) };
    let (Some(host), Some(PluginTable { size, .. })) = (host, known) else { return null };
    let relay = Arc::<Relay>::default();
    let Some(plugin) = to_host.isolate(Arc::new(PluginAsHost { host, relay: Arc::clone(&relay) })) else { return null };
    *relay.lock() = Some(plugin);
    let shared = size_of::<PluginTable>().min(size as usize) / size_of::<usize>() * size_of::<usize>();
    #[expect(clippy::cast_possible_truncation, reason = "not larger than the table")]
    let filled = PluginTable { size: shared as u32, ..functions() };
    // SAFETY: the caller promises `size` writable bytes, and `shared` is not larger.
    unsafe { std::ptr::copy_nonoverlapping((&raw const filled).cast::<u8>(), table.cast(), shared) };
    // The relay is never freed, because the plugin may use the handle at any later time.
    Arc::into_raw(relay).cast_mut().cast()
}

impl Relay {
    /// Returns the transport to the isolated instance; `None` after its shutdown.
    fn plugin(&self) -> Option<Arc<dyn PluginTransport>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn PluginTransport>>> {
        sync::lock(&self.plugin)
    }
}

impl HostCallbacks for PluginAsHost {
    fn reply(&self, call: u64, status: u32, lent: BorrowedReply<'_>) {
        HostCallbacks::reply(&self.host, call, status, lent);
        if self.relay.shutdown_call.load(Ordering::SeqCst) == call {
            // Bound to a name, so that the lock is free before the process is ended.
            let ended = self.relay.lock().take();
            drop(ended);
        }
    }

    fn chunk(&self, call: u64, lent: BorrowedReply<'_>) {
        HostCallbacks::chunk(&self.host, call, lent);
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        HostCallbacks::event(&self.host, call, level, json);
    }
}

/// Calls `work` with the relay that `handle` points to and its transport, unless the isolated instance is shut down.
/// Catches a panic of the host, which must not unwind into the plugin.
fn relayed(handle: *mut c_void, work: impl FnOnce(&Relay, &dyn PluginTransport)) {
    // SAFETY: the handle is a relay that `lend` leaked.
    let Some(relay) = (unsafe { handle.cast::<Relay>().cast_const().as_ref() }) else { return };
    let _caught = catch_panic(|| {
        if let Some(plugin) = relay.plugin() {
            work(relay, &*plugin);
        }
    });
}

/// Passes a call on to the isolated instance. Ignores an invalid request, and replaces an invalid slice by an empty
/// one.
///
/// # Safety
/// `request` must be NULL, or point to an [`AbiRequest`] that is valid until this function returns.
unsafe fn enter(handle: *mut c_void, slot: Slot, client: u64, call: u64, request: *const AbiRequest) {
    // SAFETY: the caller makes the same promise.
    let Some(request) = (unsafe { AbiRequest::copy_known(request) }) else { return };
    // SAFETY: the slice is valid for this function.
    let head = unsafe { request.head.bytes() }.unwrap_or_default();
    // SAFETY: the slice is valid for this function.
    let body = unsafe { request.body.bytes() }.unwrap_or_default();
    let request = Request { credit: request.credit, timeout_ms: request.timeout_ms, head, body };
    relayed(handle, |_, plugin| plugin.call(slot, client, call, &request));
}

unsafe extern "C" fn shutdown(handle: *mut c_void, call: u64) {
    relayed(handle, |relay, plugin| {
        relay.shutdown_call.store(call, Ordering::SeqCst);
        plugin.call(Slot::Shutdown, 0, call, &Request::default());
    });
}

unsafe extern "C" fn open(handle: *mut c_void, client: u64, call: u64, request: *const AbiRequest) {
    // SAFETY: the plugin passes a request, see `PluginTable`.
    unsafe { enter(handle, Slot::Open, client, call, request) };
}

unsafe extern "C" fn close(handle: *mut c_void, client: u64) {
    relayed(handle, |_, plugin| plugin.close(client));
}

unsafe extern "C" fn cancel(handle: *mut c_void, call: u64) {
    relayed(handle, |_, plugin| plugin.cancel(call));
}

unsafe extern "C" fn credit(handle: *mut c_void, call: u64, chunks: u32) {
    relayed(handle, |_, plugin| plugin.credit(call, chunks));
}

unsafe extern "C" fn target_help(handle: *mut c_void, call: u64, request: *const AbiRequest) {
    // SAFETY: the plugin passes a request, see `PluginTable`.
    unsafe { enter(handle, Slot::TargetHelp, 0, call, request) };
}

unsafe extern "C" fn run_local(handle: *mut c_void, call: u64, request: *const AbiRequest) {
    // SAFETY: the plugin passes a request, see `PluginTable`.
    unsafe { enter(handle, Slot::RunLocal, 0, call, request) };
}

/// Declares one function for each operation, and the table that holds these functions.
macro_rules! functions {
    ($($slot:ident = $operation:ident),* $(,)?) => {
        mod slots {
            use super::{AbiRequest, Operation, Slot, c_void, enter};

            $(pub(super) unsafe extern "C" fn $slot(
                handle: *mut c_void,
                client: u64,
                call: u64,
                request: *const AbiRequest,
            ) {
                // SAFETY: the plugin passes a request, see `PluginTable`.
                unsafe { enter(handle, Slot::Operation(Operation::$operation), client, call, request) };
            })*
        }

        fn functions() -> PluginTable {
            PluginTable {
                shutdown: Some(shutdown),
                open: Some(open),
                close: Some(close),
                cancel: Some(cancel),
                credit: Some(credit),
                target_help: Some(target_help),
                run_local: Some(run_local),
                $($slot: Some(slots::$slot),)*
                ..PluginTable::EMPTY
            }
        }
    };
}

functions! {
    create_deployment = CreateDeployment,
    update_deployment = UpdateDeployment,
    delete_deployment = DeleteDeployment,
    get_deployment = GetDeployment,
    list_deployments = ListDeployments,
    create_endpoint = CreateEndpoint,
    update_endpoint = UpdateEndpoint,
    delete_endpoint = DeleteEndpoint,
    get_endpoint = GetEndpoint,
    list_endpoints = ListEndpoints,
    predict = Predict,
    predict_stream = PredictStream,
    explain = Explain,
    invoke = Invoke,
}
