//! Loads and calls the library that the conformance cases check. Only this module of the harness has unsafe code.
//!
//! The library may break the rules that make these calls safe, because the cases check these rules. Therefore every
//! case runs in a separate process, which has no other work. The harness kills this process at the deadline of the
//! case, and reports a crash of the process as a result.
#![expect(unsafe_code, reason = "the library under test is loaded and called in a process that may be lost")]

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;
use std::time::Duration;

use mlflow_deploy_plugin_api::ffi::abi::PluginTable;
use mlflow_deploy_plugin_api::testing::raw::{self, Driver, HostShape, Library};

/// Loads a shared library.
///
/// # Errors
/// Fails with the message of the dynamic loader if the library cannot be loaded.
pub(crate) fn open(path: &Path) -> Result<Library, String> {
    // SAFETY: the library's promises are under test; only this case's process is lost if it breaks them.
    unsafe { Library::open(path) }
}

/// Flushes the output streams of the C library in this process.
pub(crate) fn flush_c_streams() {
    // The signature of POSIX. NULL stands for all streams.
    unsafe extern "C" {
        fn fflush(stream: *mut c_void) -> c_int;
    }
    // SAFETY: NULL is valid. If another thread holds the lock of a stream, the call only waits until the case's
    // deadline.
    let _failed = unsafe { fflush(null_mut()) };
}

/// Starts an instance of the plugin, with a host of the given shape. Returns `None` if the plugin's `init` fails.
pub(crate) fn start(table: PluginTable, shape: HostShape) -> Option<Driver> {
    // SAFETY: the table's promises are under test; only this case's process is lost if it breaks them.
    unsafe { Driver::start(table, shape) }
}

/// Calls `init` with NULL instead of a host. Returns true if `init` wrongly returns an instance.
pub(crate) fn start_without_host(table: PluginTable) -> bool {
    // SAFETY: the table's promises are under test; only this case's process is lost if it breaks them.
    unsafe { Driver::start_without_host(table) }
}

/// Runs `call` in a forked child of this process. Returns the result of `call`, or `None` if the child does not exit
/// within the timeout.
pub(crate) fn call_in_fork(timeout: Duration, call: impl FnOnce() -> bool) -> Option<bool> {
    // SAFETY: a lock that another thread held only makes the fork wait, and the fork is killed after the timeout.
    unsafe { raw::in_fork(timeout, call) }
}
