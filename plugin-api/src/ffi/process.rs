//! Reads the privileges of the process, and registers functions to call at its end.

use std::ffi::c_int;
#[cfg(target_os = "linux")]
use std::ffi::c_ulong;
use std::io;

/// Registers a function that is called when the process ends by `exit` or by a return from `main`. The functions are
/// called in the reverse order of their registration.
///
/// C++ libraries destroy their globals at that time, while other threads may still use them. A plugin that loads such a
/// library registers a function after it has loaded the library. The function is then called before the library
/// destroys its globals, and waits until the other threads no longer use them. The function must return soon. A panic
/// in it ends the process. It is not called if a signal or `_exit` ends the process.
///
/// ```no_run
/// extern "C" fn finish_work() { /* waits for the threads that use the library */ }
///
/// mlflow_deploy_plugin_api::at_exit(finish_work)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Fails if the system has no memory to register the function.
pub fn at_exit(work: extern "C" fn()) -> io::Result<()> {
    // POSIX declares this function with this signature. It may be called from any thread, and only stores the address.
    // The address stays valid because a plugin is never unloaded.
    unsafe extern "C" {
        safe fn atexit(work: extern "C" fn()) -> c_int;
    }
    if atexit(work) == 0 { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

/// Returns the effective user id, which determines the process's access to files.
pub(crate) fn effective_user() -> u32 {
    // POSIX declares this function with this signature. It cannot fail.
    unsafe extern "C" {
        safe fn geteuid() -> u32;
    }
    geteuid()
}

/// Returns true if the process has more privileges than the user who started it: by its user and group ids, by the
/// capabilities of its file, or by a security module.
///
/// In such a process, the system's loader ignores environment variables such as `LD_PRELOAD`. Host and plugins also
/// ignore variables there: the user must not select the libraries that the process loads, or the servers that it
/// trusts.
///
/// ```
/// let proxy = if mlflow_deploy_plugin_api::is_privileged() { None } else { std::env::var("HTTPS_PROXY").ok() };
/// # drop(proxy);
/// ```
pub fn is_privileged() -> bool {
    #[cfg(target_os = "linux")]
    {
        const AT_SECURE: c_ulong = 23;
        // glibc and musl declare this function with this signature. It only reads a vector that the kernel passed when
        // the process started.
        unsafe extern "C" {
            safe fn getauxval(entry: c_ulong) -> c_ulong;
        }
        getauxval(AT_SECURE) != 0
    }
    #[cfg(not(target_os = "linux"))]
    {
        // macOS and the BSDs declare this function with this signature.
        unsafe extern "C" {
            safe fn issetugid() -> c_int;
        }
        issetugid() != 0
    }
}
