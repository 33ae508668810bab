//! The memory layouts that hosts and plugins share: the plugin's table, the host's callbacks, requests and slices.
//!
//! `include/mlflow_deploy_plugin.h` declares the same layouts in C, and a test compares both. New versions add members
//! only at the end of a table. A reader copies the members that both sides know into a zeroed struct. A member that the
//! other side does not know is therefore NULL.
#![expect(clippy::exhaustive_structs, reason = "the layout is the contract")]
#![expect(missing_debug_implementations, reason = "abi_stable's derive generates structs without it")]
#![expect(unnameable_types, reason = "the structs that abi_stable's derive generates are not part of the interface")]

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;

use crate::Operation;

/// The version of the contract between hosts and plugins. It is incremented only if hosts can no longer load older
/// plugins.
pub const ABI: u32 = 1;

/// The status of a reply that contains a result.
pub const STATUS_OK: u32 = 0;
/// The status of a reply that contains an error.
pub const STATUS_ERROR: u32 = 1;

/// The name of the function that a plugin exports. The C declaration is
/// `const PluginTable *mlflow_deploy_plugin_v1(void)`.
pub const ENTRY_SYMBOL: &std::ffi::CStr = c"mlflow_deploy_plugin_v1";

/// Bytes that the called function borrows until it returns. `{NULL, 0}` is empty, and `{NULL, n}` with another length
/// is invalid.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiSlice {
    /// The address of the first byte.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

/// The arguments of one call. The plugin borrows them until its function returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiRequest {
    /// The size of this struct in bytes, as compiled in the code that makes the call.
    pub size: u32,
    /// The number of chunks that the plugin may send before a call of `credit` allows more; 0 for a call without a
    /// stream.
    pub credit: u32,
    /// The time until the caller's deadline, in milliseconds; 0 for a call without a deadline.
    pub timeout_ms: u64,
    /// The arguments of the operation, as a JSON object.
    pub head: AbiSlice,
    /// The inputs of the operation. Their media type is the value of `content_type` in the head.
    pub body: AbiSlice,
}

/// The functions of the host that a plugin calls. Each function stores its message, wakes the receiver, and returns
/// without blocking. It may be called from any thread.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef, prefix_fields = HostApiPrefix)), missing_field(option))]
pub struct HostApi {
    /// The size of this struct in bytes, as compiled in the host.
    pub size: u32,
    /// The version of the contract that the host follows.
    pub abi: u32,
    /// The pointer that the plugin passes to every function of this struct as the first argument.
    pub ctx: *mut c_void,
    /// Ends a call. The plugin calls this function exactly once for each call, even for a cancelled call. The head and
    /// the body may have up to 512 MiB each. If one of them is larger, the caller gets an error instead of the reply.
    pub reply: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, status: u32, head: AbiSlice, body: AbiSlice)>,
    /// Sends one chunk of a stream, which uses up one unit of the call's credit. The size limits of `reply` apply.
    pub chunk: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, head: AbiSlice, body: AbiSlice)>,
    /// Sends an event; `call` is 0 if the event belongs to no call.
    #[sabi(last_prefix_field)]
    pub event: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, level: u32, json: AbiSlice)>,
    /// Creates another instance of the plugin, in another process. Returns NULL if the host does not support this.
    ///
    /// `host` points to the [`HostApi`] that receives the messages of the instance; the plugin never frees it. `table`
    /// points to a [`PluginTable`] whose `size` the plugin has set. The host writes the functions of the instance into
    /// this table, up to that size; `init` is NULL. The plugin passes the returned pointer to these functions, as the
    /// host passes the pointer that `init` returned. The first call starts the process. If the process ends during a
    /// call, the call fails with `PLUGIN_CRASHED`, and the next call restarts the process. `shutdown` ends the process.
    /// The plugin must not use the pointer after that.
    pub isolate: Option<unsafe extern "C" fn(ctx: *mut c_void, host: *const c_void, table: *mut c_void) -> *mut c_void>,
}

/// The function of a plugin that runs one operation of a client. The plugin passes the result to [`HostApi::reply`].
pub type OperationSlot = unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest);

/// Declares [`PluginTable`] with one function for each operation, in the order of [`Operation::ALL`].
macro_rules! plugin_table {
    ($($slot:ident = $operation:ident),* ; $last:ident = $last_operation:ident) => {
        /// The functions that a plugin exports. The function of an operation that the plugin does not support is NULL.
        ///
        /// Every function may be called from any thread, does not block, and does not unwind. The host chooses the ids
        /// of clients and calls; an id is never zero and never used twice.
        #[repr(C)]
        #[derive(StableAbi, Clone, Copy, Debug)]
        #[sabi(kind(Prefix(prefix_ref = PluginTableRef, prefix_fields = PluginTablePrefix)), missing_field(option))]
        #[sabi(phantom_field(host_api: HostApiRef))]
        #[sabi(phantom_field(request: AbiRequest))]
        pub struct PluginTable {
            /// The size of this struct in bytes, as compiled in the plugin.
            pub size: u32,
            /// The version of the plugin contract that the plugin follows; see [`ABI`].
            pub abi: u32,
            /// Creates an instance of the plugin and returns a pointer to it, or NULL on failure. `host` points to a
            /// [`HostApi`]. The pointer is untyped because later versions of the contract add members to that struct. A
            /// phantom field of this table includes `HostApi` in the layout check.
            pub init: Option<unsafe extern "C" fn(host: *const c_void) -> *mut c_void>,
            /// Ends an instance. The plugin replies to `call` after it has replied to all other calls and closed all
            /// clients.
            pub shutdown: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
            /// Opens a client. The head of the request is `{"target_uri":…, "options":{…}}`. If `open` fails, the host
            /// does not call `close` for this client.
            pub open:
                Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,
            /// Closes a client. Before that, the host cancels the client's pending calls. Afterwards, the host does not
            /// use the client's id again.
            pub close: Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64)>,
            /// Cancels a call. The plugin still replies to the call. Does nothing if the plugin has already replied.
            pub cancel: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
            /// Allows the plugin to send `chunks` more chunks of the stream `call`.
            pub credit: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, chunks: u32)>,
            /// Returns the help text of the plugin's target through [`HostApi::reply`].
            pub target_help:
                Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, request: *const AbiRequest)>,
            /// Serves a model on this machine until the call is cancelled. Sends one chunk when the server is ready.
            pub run_local: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, request: *const AbiRequest)>,
            $(
                #[doc = concat!("Runs `", stringify!($slot), "`.")]
                pub $slot:
                    Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,
            )*
            #[doc = concat!("Runs `", stringify!($last), "`.")]
            #[sabi(last_prefix_field)]
            pub $last:
                Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,
        }

        impl PluginTable {
            /// A table in which every function is NULL.
            pub const EMPTY: Self = {
                #[expect(clippy::cast_possible_truncation, reason = "a table is some hundred bytes long")]
                const SIZE: u32 = size_of::<PluginTable>() as u32;
                Self {
                    size: SIZE,
                    abi: ABI,
                    init: None,
                    shutdown: None,
                    open: None,
                    close: None,
                    cancel: None,
                    credit: None,
                    target_help: None,
                    run_local: None,
                    $($slot: None,)*
                    $last: None,
                }
            };

            /// Returns the function that runs an operation; `None` if the plugin does not support the operation.
            pub fn slot(&self, operation: Operation) -> Option<OperationSlot> {
                match operation {
                    $(Operation::$operation => self.$slot,)*
                    Operation::$last_operation => self.$last,
                }
            }
        }
    };
}

plugin_table! {
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
    explain = Explain;
    invoke = Invoke
}

impl RootModule for PluginTableRef {
    abi_stable::declare_root_module_statics! {PluginTableRef}
    const BASE_NAME: &'static str = "mlflow_deploy";
    const NAME: &'static str = "mlflow_deploy";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

impl AbiSlice {
    /// The slice without bytes.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// Returns a slice that points to `bytes`. The receiver must not use the slice after `bytes` is freed.
    pub fn lend(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// Returns a copy of the bytes; `None` if the slice is invalid, for example NULL but not empty.
    ///
    /// # Safety
    /// `ptr` must be NULL, or point to `len` bytes that are readable until this function returns.
    pub unsafe fn copy(self) -> Option<Vec<u8>> {
        // SAFETY: the caller promises that the bytes are readable.
        unsafe { self.bytes() }.map(<[u8]>::to_vec)
    }

    /// Returns the bytes without a copy; `None` if the slice is invalid, for example NULL but not empty.
    ///
    /// # Safety
    /// `ptr` must be NULL, or point to `len` bytes that are readable while the slice is borrowed.
    pub(super) unsafe fn bytes(&self) -> Option<&[u8]> {
        // A slice of more than half of the address space is invalid as well.
        let is_impossible = isize::try_from(self.len).is_err();
        match (self.ptr.is_null() || is_impossible, self.len) {
            (_, 0) => Some(&[]),
            (true, _) => None,
            // SAFETY: the caller promises `len` readable bytes.
            (false, len) => Some(unsafe { std::slice::from_raw_parts(self.ptr, len) }),
        }
    }
}

/// A struct that starts with its own size in bytes. Later versions of the contract add members at the end of the
/// struct. A member whose bytes are all zero is absent.
///
/// # Safety
/// The type must be `repr(C)`, start with a `u32` that holds the size in bytes, and be valid if all its bytes are zero.
pub(crate) unsafe trait SizedStruct: Copy {
    /// The minimum size of a valid struct, in bytes.
    const MIN_SIZE: usize;

    /// Copies the members that both the host and the plugin know into a zeroed struct. Returns `None` if the pointer is
    /// NULL, or if the size is less than [`MIN_SIZE`](Self::MIN_SIZE).
    ///
    /// # Safety
    /// `source` must be NULL, or point to an aligned struct that starts with its size and has that many readable bytes.
    unsafe fn copy_known(source: *const Self) -> Option<Self> {
        if source.is_null() {
            return None;
        }
        // SAFETY: not NULL, so the caller promises at least the four bytes of the size.
        let size = unsafe { source.cast::<u32>().read() } as usize;
        if size < Self::MIN_SIZE {
            return None;
        }
        let mut known = std::mem::MaybeUninit::<Self>::zeroed();
        let target = known.as_mut_ptr().cast::<u8>();
        // Copies whole pointers only.
        let shared = size.min(size_of::<Self>()) / size_of::<usize>() * size_of::<usize>();
        // SAFETY: the caller promises `size` readable bytes, and `known` has room for its own size.
        unsafe { std::ptr::copy_nonoverlapping(source.cast::<u8>(), target, shared) };
        // SAFETY: the implementor of this trait promises that zeroes are valid; the other bytes are of a valid struct.
        Some(unsafe { known.assume_init() })
    }
}

// SAFETY: `repr(C)`, begins with `size`, and holds only integers and pointers.
unsafe impl SizedStruct for AbiRequest {
    const MIN_SIZE: usize = size_of::<Self>();
}

// SAFETY: `repr(C)`, begins with `size`, and holds only integers, pointers and optional functions.
unsafe impl SizedStruct for HostApi {
    const MIN_SIZE: usize = std::mem::offset_of!(Self, chunk);
}

// SAFETY: `repr(C)`, begins with `size`, and holds only integers and optional functions.
unsafe impl SizedStruct for PluginTable {
    const MIN_SIZE: usize = std::mem::offset_of!(Self, credit);
}
