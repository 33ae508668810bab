//! The table itself: what a plugin gives the host, what the host gives a plugin, and the slices between them.
//!
//! These layouts are the contract. `include/mlflow_deploy_plugin.h` says the same in C, and a test holds the two equal.
//! Both structs grow at their end only; a reader copies `min(size)` bytes over zeroes, so that what the other side
//! does not know reads as NULL.
#![expect(clippy::exhaustive_structs, reason = "their layout is the contract")]
#![expect(missing_debug_implementations, reason = "abi_stable's derive makes helper structs without it")]

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;

use crate::Operation;

/// The version of the contract. It changes only when old plugins could no longer be understood.
pub const ABI: u32 = 1;

/// Status of a reply that carries a result.
pub const STATUS_OK: u32 = 0;
/// Status of a reply that carries an error.
pub const STATUS_ERROR: u32 = 1;

/// The function that a library exports to be a plugin: `const PluginTable *mlflow_deploy_plugin_v1(void)`.
pub const ENTRY_SYMBOL: &std::ffi::CStr = c"mlflow_deploy_plugin_v1";

/// Bytes lent for the duration of one function. `{NULL, 0}` is empty; `{NULL, n}` is a fault.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiSlice {
    /// The first byte.
    pub ptr: *const u8,
    /// How many there are.
    pub len: usize,
}

/// The arguments of one call, lent for the duration of the slot.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AbiRequest {
    /// The size of this struct in bytes, as its writer knows it.
    pub size: u32,
    /// How many chunks may be sent before `credit` allows more; 0 for a plain call.
    pub credit: u32,
    /// What is left of the caller's deadline, in milliseconds; 0 for none.
    pub timeout_ms: u64,
    /// The arguments: a JSON object.
    pub head: AbiSlice,
    /// The inputs, in the format that `content_type` in the head names.
    pub body: AbiSlice,
}

/// What the host gives a plugin. Every function only enqueues and wakes, and may be called from any thread.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef, prefix_fields = HostApiPrefix)), missing_field(option))]
pub struct HostApi {
    /// The size of this struct in bytes, as the host knows it.
    pub size: u32,
    /// The version of the contract that the host speaks.
    pub abi: u32,
    /// To be passed back with every call.
    pub ctx: *mut c_void,
    /// Ends a call: exactly once for each, also after `cancel`. A part may have 512 MiB; a larger one is not taken, and its
    /// caller is told so.
    pub reply: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, status: u32, head: AbiSlice, body: AbiSlice)>,
    /// Hands over one chunk of a stream, against one unit of credit. It may be as large as a reply.
    pub chunk: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, head: AbiSlice, body: AbiSlice)>,
    /// Says something beside the replies; `call` is 0 where no call is concerned.
    #[sabi(last_prefix_field)]
    pub event: Option<unsafe extern "C" fn(ctx: *mut c_void, call: u64, level: u32, json: AbiSlice)>,
    /// Gives the plugin an instance of its own library in another process; NULL where the host has no way to.
    ///
    /// `host` is the [`HostApi`] that the instance answers to; it lives as long as the process. `table` is a
    /// [`PluginTable`] whose `size` the plugin has set: the host fills it, up to that size. Its functions are called
    /// with what is returned, as the host calls the functions of the plugin; its `init` is NULL. The process is started
    /// by the first call. A call whose process ends is replied to with `PLUGIN_CRASHED`, and the next one starts the
    /// process anew. `shutdown` ends the process, and nothing is called with what was returned afterwards.
    pub isolate: Option<unsafe extern "C" fn(ctx: *mut c_void, host: *const c_void, table: *mut c_void) -> *mut c_void>,
}

/// A slot that answers an operation of a client through `reply`.
pub type OperationSlot = unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest);

/// Declares the table with one slot per operation, in the order of [`Operation::ALL`].
macro_rules! plugin_table {
    ($($slot:ident = $operation:ident),* ; $last:ident = $last_operation:ident) => {
        /// What a plugin gives the host. NULL slots are operations that it does not support.
        ///
        /// Any function may be called from any thread; none blocks and none unwinds. Client and call ids are the
        /// host's, never zero and never used twice.
        #[repr(C)]
        #[derive(StableAbi, Clone, Copy, Debug)]
        #[sabi(kind(Prefix(prefix_ref = PluginTableRef, prefix_fields = PluginTablePrefix)), missing_field(option))]
        #[sabi(phantom_field(host_api: HostApiRef))]
        #[sabi(phantom_field(request: AbiRequest))]
                pub struct PluginTable {
            /// The size of this struct in bytes, as the plugin knows it.
            pub size: u32,
            /// The version of the contract that the plugin speaks.
            pub abi: u32,
            /// Makes an instance of the plugin, a fresh one per call; NULL where that failed. `host` is a [`HostApi`],
            /// untyped because it grows: the layout check sees it through the table's phantom field.
            pub init: Option<unsafe extern "C" fn(host: *const c_void) -> *mut c_void>,
            /// Ends an instance: answers when its calls are answered and its clients closed.
            pub shutdown: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
            /// Makes a client. The head is `{"target_uri":…, "options":{…}}`. A failed open leaves nothing to close.
            pub open:
                Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,
            /// Ends a client. The host has cancelled what was pending and enters no slot of the client afterwards.
            pub close: Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64)>,
            /// Gives a call up. Its reply still comes. One that is answered already is left alone.
            pub cancel: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
            /// Allows a stream this many more chunks.
            pub credit: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, chunks: u32)>,
            /// Answers with a text that tells a user how to use the target.
            pub target_help:
                Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, request: *const AbiRequest)>,
            /// Serves a model on this machine until cancelled; a chunk says when it is ready.
            pub run_local: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, request: *const AbiRequest)>,
            $(
                #[doc = concat!("Answers `", stringify!($slot), "`.")]
                pub $slot:
                    Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,
            )*
            #[doc = concat!("Answers `", stringify!($last), "`.")]
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

            /// The slot of an operation; `None` where the plugin does not support it.
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
    /// No bytes.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// Lends bytes for as long as the function that they are passed to runs.
    pub fn lend(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// Copies the bytes; `None` where the slice is the faulty `{NULL, n}`.
    ///
    /// # Safety
    /// Whoever made the slice promises that `ptr` is NULL or has `len` readable bytes until this returns.
    pub unsafe fn copy(self) -> Option<Vec<u8>> {
        // SAFETY: the maker's promise is passed on as it is.
        unsafe { self.bytes() }.map(<[u8]>::to_vec)
    }

    /// The bytes themselves; `None` where the slice is the faulty `{NULL, n}`.
    ///
    /// # Safety
    /// Whoever made the slice promises that `ptr` is NULL or has `len` readable bytes for as long as it is borrowed.
    pub(super) unsafe fn bytes(&self) -> Option<&[u8]> {
        // More than half of the address space is no slice either.
        let is_impossible = isize::try_from(self.len).is_err();
        match (self.ptr.is_null() || is_impossible, self.len) {
            (_, 0) => Some(&[]),
            (true, _) => None,
            // SAFETY: the caller of this function has the maker's promise of `len` readable bytes.
            (false, len) => Some(unsafe { std::slice::from_raw_parts(self.ptr, len) }),
        }
    }
}

/// A struct that starts with its own size and grows at its end, where zeroes mean "not there".
///
/// # Safety
/// The implementor is `repr(C)`, starts with a `u32` that holds its size in bytes, and is valid when all zero.
pub(crate) unsafe trait Growing: Copy {
    /// The smallest size that any version of the struct has had.
    const SMALLEST: usize;

    /// Copies as many bytes as both sides know over zeroes; `None` where the pointer is NULL or the size too small.
    ///
    /// # Safety
    /// Whoever made the struct promises that `source` is NULL, or aligned and readable for as many bytes as the size
    /// at its start says.
    unsafe fn copy_known(source: *const Self) -> Option<Self> {
        if source.is_null() {
            return None;
        }
        // SAFETY: not NULL, so the maker promised at least the four bytes of the size.
        let size = unsafe { source.cast::<u32>().read() } as usize;
        if size < Self::SMALLEST {
            return None;
        }
        let mut known = std::mem::MaybeUninit::<Self>::zeroed();
        let target = known.as_mut_ptr().cast::<u8>();
        // Half a pointer is none.
        let shared = size.min(size_of::<Self>()) / size_of::<usize>() * size_of::<usize>();
        // SAFETY: the maker promised `size` readable bytes, and `known` has room for its own size.
        unsafe { std::ptr::copy_nonoverlapping(source.cast::<u8>(), target, shared) };
        // SAFETY: the implementor of this trait promised that zeroes are valid, and the rest is the maker's struct.
        Some(unsafe { known.assume_init() })
    }
}

// SAFETY: `repr(C)`, begins with `size`, and holds only integers and pointers.
unsafe impl Growing for AbiRequest {
    const SMALLEST: usize = size_of::<Self>();
}

// SAFETY: `repr(C)`, begins with `size`, and holds only integers, pointers and optional functions.
unsafe impl Growing for HostApi {
    const SMALLEST: usize = std::mem::offset_of!(Self, chunk);
}

// SAFETY: `repr(C)`, begins with `size`, and holds only integers and optional functions.
unsafe impl Growing for PluginTable {
    const SMALLEST: usize = std::mem::offset_of!(Self, credit);
}
