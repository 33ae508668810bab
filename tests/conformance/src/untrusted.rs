//! Runs the library under test. The only module of the harness with unsafe code.
//!
//! The library may break every promise that these calls rely on: the cases check these promises. So every case runs in
//! a process of its own, which has no other work. The harness kills it at its deadline, and reports its crash as a
//! result.
#![expect(unsafe_code, reason = "the library under test is loaded and called in a process that may be lost")]

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;
use std::time::Duration;

use mlflow_deploy_plugin_api::ffi::abi::PluginTable;
use mlflow_deploy_plugin_api::testing::raw::{self, Driver, HostShape, Library};

/// Loads a library.
///
/// # Errors
/// The message of the system's loader.
pub(crate) fn open(path: &Path) -> Result<Library, String> {
    // SAFETY: the library's promises are under test; only this case's process is lost if it breaks them.
    unsafe { Library::open(path) }
}

/// Writes what the C library has buffered of the output of this process.
pub(crate) fn flush_c_streams() {
    // The signature of POSIX. NULL stands for all streams.
    unsafe extern "C" {
        fn fflush(stream: *mut c_void) -> c_int;
    }
    // SAFETY: NULL is valid. A thread that holds the lock of a stream only makes this wait, until the case's deadline.
    let _failed = unsafe { fflush(null_mut()) };
}

/// Starts an instance; `None` if the plugin's `init` fails.
pub(crate) fn start(table: PluginTable, shape: HostShape) -> Option<Driver> {
    // SAFETY: the table's promises are under test; only this case's process is lost if it breaks them.
    unsafe { Driver::start(table, shape) }
}

/// Calls `init` with NULL for the host. Returns true if the plugin created an instance all the same.
pub(crate) fn start_without_host(table: PluginTable) -> bool {
    // SAFETY: the table's promises are under test; only this case's process is lost if it breaks them.
    unsafe { Driver::start_without_host(table) }
}

/// Runs `call` in a fork of this process. Returns its result; `None` if the fork has not ended after the timeout.
pub(crate) fn call_in_fork(timeout: Duration, call: impl FnOnce() -> bool) -> Option<bool> {
    // SAFETY: a lock that stays locked only makes the fork wait, and the fork is killed after the timeout.
    unsafe { raw::in_fork(timeout, call) }
}
