//! Tests of the layout check for plugins in Rust. A table with more or fewer members passes. A table with changed
//! members fails.
#![expect(clippy::ptr_as_ptr, reason = "abi_stable's derive casts pointers")]

use std::ffi::{CStr, c_void};

use abi_stable::StableAbi;
use abi_stable::library::{
    __call_root_module_loader, CheckTypeLayout, LibHeader, ROOT_MODULE_LOADER_NAME_WITH_NUL, RootModule,
    RootModuleResult,
};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::sabi_types::VersionStrings;

use super::probe;
use crate::ffi::abi::{ENTRY_SYMBOL, PluginTable};
use crate::ffi::layout::PluginTableRef;
use crate::ffi::{TableError, table_of};

/// Declares a plugin library for a test: its version of the table, and its abi_stable header.
macro_rules! library {
    ($name:ident, client: $client:ty $(, later: $later:ident)?) => {
        #[expect(dead_code, unreachable_pub, reason = "only the layout is used")]
        mod $name {
            use super::*;
            use crate::ffi::layout::{AbiRequest, HostApiRef};

            #[repr(C)]
            #[derive(StableAbi, Clone, Copy, Default)]
            #[sabi(kind(Prefix(prefix_ref = PluginTableRef, prefix_fields = PluginTablePrefix)), missing_field(option))]
            #[sabi(phantom_field(host_api: HostApiRef))]
            #[sabi(phantom_field(request: AbiRequest))]
            pub struct PluginTable {
                pub size: u32,
                pub abi: u32,
                pub init: Option<unsafe extern "C" fn(host: *const c_void) -> *mut c_void>,
                pub shutdown: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
                pub open: Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,
                pub close: Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64)>,
                pub cancel: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64)>,
                pub credit: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, chunks: u32)>,
                pub target_help: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, request: *const AbiRequest)>,
                pub run_local: Option<unsafe extern "C" fn(plugin: *mut c_void, call: u64, request: *const AbiRequest)>,
                pub create_deployment: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub update_deployment: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub delete_deployment: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub get_deployment: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub list_deployments: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub create_endpoint: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub update_endpoint: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub delete_endpoint: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub get_endpoint: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub list_endpoints: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub predict: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub predict_stream: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                pub explain: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                #[sabi(last_prefix_field)]
                pub invoke: Option<unsafe extern "C" fn(plugin: *mut c_void, client: $client, call: u64, request: *const AbiRequest)>,
                $(pub $later: Option<unsafe extern "C" fn(plugin: *mut c_void, client: u64, call: u64, request: *const AbiRequest)>,)?
            }

            impl RootModule for PluginTableRef {
                abi_stable::declare_root_module_statics! {PluginTableRef}
                const BASE_NAME: &'static str = "mlflow_deploy";
                const NAME: &'static str = "mlflow_deploy";
                const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
            }

            extern "C" fn root_module() -> RootModuleResult {
                static TABLE: std::sync::LazyLock<WithMetadata<PluginTable>> =
                    std::sync::LazyLock::new(|| WithMetadata::new(PluginTable::default()));
                __call_root_module_loader(|| PluginTableRef(TABLE.static_as_prefix()))
            }

            pub(super) static HEADER: LibHeader = {
                // SAFETY: `root_module` returns a `PluginTableRef`.
                unsafe { LibHeader::from_constructor::<PluginTableRef>(root_module, CheckTypeLayout::Yes) }
            };
        }
    };
}

library!(same, client: u64);
library!(newer, client: u64, later: batch_predict);
library!(changed, client: u32);

extern "C" fn entry() -> *const PluginTable {
    probe::plugin().as_ptr()
}

/// Returns the table of a library with this abi_stable header, if the table passes the checks.
fn table_with(header: &'static LibHeader) -> Result<PluginTable, TableError> {
    let symbol = |name: &CStr| {
        if name == ENTRY_SYMBOL {
            Some(entry as *const c_void)
        } else if name.to_bytes_with_nul() == ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes() {
            Some(std::ptr::from_ref(header).cast())
        } else {
            None
        }
    };
    // SAFETY: both symbols are part of this program, and have the types that belong to their names.
    unsafe { table_of(symbol) }
}

#[test]
fn a_table_that_only_grew_passes_in_an_older_host() {
    assert!(table_with(&same::HEADER).unwrap().predict.is_some());
    assert!(table_with(&newer::HEADER).unwrap().predict.is_some());
}

#[test]
fn a_changed_table_fails_with_one_line() {
    let error = table_with(&changed::HEADER).unwrap_err().to_string();
    assert!(error.starts_with("the layout of its table differs: "), "{error}");
    assert!(error.contains("create_deployment") && error.lines().count() == 1, "{error}");
}

/// The first argument of abi_stable's check is the expected layout. A table with more members than expected passes. A
/// table with fewer members fails.
#[test]
fn abi_stable_accepts_a_grown_table_in_one_direction_only() {
    use abi_stable::abi_stability::abi_checking::check_layout_compatibility as check;
    let (ours, newer) = (<PluginTableRef as StableAbi>::LAYOUT, <newer::PluginTableRef as StableAbi>::LAYOUT);
    assert_eq!((check(ours, newer).is_ok(), check(newer, ours).is_ok()), (true, false));
}
