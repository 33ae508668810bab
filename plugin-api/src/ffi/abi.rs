//! The layouts of the boundary: the plugin's table, the host's callbacks, requests and slices.
//!
//! These layouts are the contract. `include/mlflow_deploy_plugin.h` declares them in C, and a test compares the two.
//! Both tables grow at their end only. A reader copies the bytes that both sides know over zeroes, so that a member
//! that the other side does not know is NULL.
#![expect(clippy::exhaustive_structs, reason = "the layout is the contract")]
#![expect(missing_debug_implementations, reason = "abi_stable's derive generates structs without it")]

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;

use crate::Operation;

/// The version of the contract. It changes only if hosts can no longer load older plugins.
pub const ABI: u32 = 1;

/// The status of a reply with a result.
pub const STATUS_OK: u32 = 0;
/// The status of a reply with an error.
pub const STATUS_ERROR: u32 = 1;

/// The name of the function that a plugin exports: `const PluginTable *mlflow_deploy_plugin_v1(void)`.
pub const ENTRY_SYMBOL: &std::ffi::CStr = c"mlflow_deploy_plugin_v1";

/// Bytes that are borrowed for one function call. `{NULL, 0}` is empty; `{NULL, n}` is invalid.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiSlice {
    /// The first byte.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

/// The arguments of one call, borrowed until the slot returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiRequest {
    /// The size of this struct in bytes, in its writer's version.
    pub size: u32,
    /// The number of chunks that may be sent before `credit` allows more; 0 for a plain call.
    pub credit: u32,
    /// The time until the caller's deadline, in milliseconds; 0 for a call without a deadline.
    pub timeout_ms: u64,
    /// The arguments: a JSON object.
    pub head: AbiSlice,
    /// The inputs, of the media type in the head's `content_type`.
    pub body: AbiSlice,
}

/// The callbacks of the host. Every function only enqueues and wakes, and may be called from any thread.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef, prefix_fields = HostApiPrefix)), missing_field(option))]
pub struct HostApi {
    /// The size of this struct in bytes, in the host's version.
    pub size: u32,
    /// The version of the contract that the host follows.
    pub abi: u32,
    /// The first argument of every callback.
    pub ctx: *mut c_void,
    /// Ends a call: exactly once for each call, also after `cancel`. Head and body may have 512 MiB each; a larger
    /// reply becomes an error for the caller.
    pub reply: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, status: u32, head: AbiSlice, body: AbiSlice)>,
    /// Sends one chunk of a stream, for one unit of credit. The limits of `reply` apply.
    pub chunk: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, head: AbiSlice, body: AbiSlice)>,
    /// Sends an event; `call` is 0 if the event belongs to no call.
    #[sabi(last_prefix_field)]
    pub event: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, level: u32, json: AbiSlice)>,
    /// Creates an instance of the plugin's own library in another process; NULL if the host does not support it.
    ///
    /// `host` is the [`HostApi`] for the instance; it is never freed. `table` is a [`PluginTable`] whose `size` the
    /// plugin has set: the host fills it, up to that size. The plugin calls its functions with the returned pointer, as
    /// the host calls the functions of a plugin; its `init` is NULL. The first call starts the process. A call whose
    /// process ends gets the error `PLUGIN_CRASHED`, and the next call restarts the process. `shutdown` ends the
    /// process; no function is called with the pointer afterwards.
    pub isolate: Option<unsafe extern "C" fn(ctx: *mut c_void, host: *const c_void, table: *mut c_void) -> *mut c_void>,
}

/// A slot for an operation of a client. The result comes through `reply`.
pub type OperationSlot = unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest);

/// Declares the table with one slot per operation, in the order of [`Operation::ALL`].
macro_rules! plugin_table {
    ($($slot:ident = $operation:ident),* ; $last:ident = $last_operation:ident) => {
        /// The functions of a plugin. A NULL slot is an unsupported operation.
        ///
        /// Every function may be called from any thread, does not block, and does not unwind. The host chooses the ids
        /// of clients and calls; an id is never zero and never used twice.
        #[repr(C)]
        #[derive(StableAbi, Clone, Copy, Debug)]
        #[sabi(kind(Prefix(prefix_ref = PluginTableRef, prefix_fields = PluginTablePrefix)), missing_field(option))]
        #[sabi(phantom_field(host_api: HostApiRef))]
        #[sabi(phantom_field(request: AbiRequest))]
        pub struct PluginTable {
            /// The size of this struct in bytes, in the plugin's version.
            pub size: u32,
            /// The version of the contract that the plugin follows.
            pub abi: u32,
            /// Creates a new instance of the plugin; NULL if that fails. `host` is a [`HostApi`], untyped because it
            /// grows: the layout check sees it through the table's phantom field.
            pub init: Option<unsafe extern "C" fn(host: *const c_void) -> *mut c_void>,
            /// Ends an instance. Replies when all calls have their replies and all clients are closed.
            pub shutdown: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
            /// Opens a client. The head is `{"target_uri":…, "options":{…}}`. A client that failed to open is not
            /// closed.
            pub open:
                Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,
            /// Closes a client. The host has cancelled its pending calls, and enters no slot of the client afterwards.
            pub close: Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64)>,
            /// Cancels a call. Its reply still comes. Has no effect if the call has its reply.
            pub cancel: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
            /// Allows a stream to send this many more chunks.
            pub credit: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, chunks: u32)>,
            /// Replies with the help of the target, for users.
            pub target_help:
                Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, request: *const AbiRequest)>,
            /// Serves a model on this machine until it is cancelled. Sends a chunk when the server is ready.
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
            /// A table without functions.
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

            /// Returns the slot of an operation; `None` if the plugin does not support the operation.
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
    /// The empty slice.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// Returns a slice for a function that borrows the bytes until it returns.
    pub fn lend(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// Copies the bytes; `None` if the slice is the invalid `{NULL, n}`.
    ///
    /// # Safety
    /// `ptr` is NULL, or `len` bytes are readable there until this returns.
    pub unsafe fn copy(self) -> Option<Vec<u8>> {
        // SAFETY: the caller promises that the bytes are readable.
        unsafe { self.bytes() }.map(<[u8]>::to_vec)
    }

    /// Borrows the bytes; `None` if the slice is the invalid `{NULL, n}`.
    ///
    /// # Safety
    /// `ptr` is NULL, or `len` bytes are readable there while the slice is borrowed.
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

/// A struct that starts with its own size and grows at its end. A member of zeroes is absent.
///
/// # Safety
/// The implementor is `repr(C)`, starts with a `u32` that holds its size in bytes, and is valid when all zero.
pub(crate) unsafe trait SizedStruct: Copy {
    /// The minimum size of a valid struct, in bytes.
    const MIN_SIZE: usize;

    /// Copies the bytes that both sides know over zeroes; `None` if the pointer is NULL or the size is too small.
    ///
    /// # Safety
    /// `source` is NULL, or it is aligned, starts with its size, and has that many readable bytes.
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
