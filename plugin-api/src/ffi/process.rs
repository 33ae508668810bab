//! What concerns the whole process: whose rights it has, and its end.

use std::ffi::c_int;
#[cfg(target_os = "linux")]
use std::ffi::c_ulong;
use std::io;

/// Has a function called when the process ends by `exit`, or by a return from `main`; functions that were registered
/// earlier are called later.
///
/// Libraries in C++ destroy their globals at that time, while other threads may still work with them. A plugin that has
/// loaded such a library registers a function afterwards, so that it is called first, and lets the work end there. It
/// has to return soon, and a panic in it ends the process. Where the process ends otherwise, by a signal or by `_exit`,
/// it is not called.
///
/// # Errors
/// Where the system has no memory left to note it.
pub fn at_exit(work: extern "C" fn()) -> io::Result<()> {
    // POSIX's own function, of this signature; it may be called from anywhere, and only notes the address. The function
    // stays where it is, for a plugin is never unloaded.
    unsafe extern "C" {
        safe fn atexit(work: extern "C" fn()) -> c_int;
    }
    if atexit(work) == 0 { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

/// The id of the user with whose rights the process accesses files.
pub(crate) fn effective_user() -> u32 {
    // POSIX's own function, of this signature; it cannot fail.
    unsafe extern "C" {
        safe fn geteuid() -> u32;
    }
    geteuid()
}

/// Whether the process has rights that whoever started it has not: by its ids, by the capabilities of its file, or
/// because a security module says so. The system's loader ignores its variables then, and so do host and plugins: whoever
/// starts such a process does not choose the libraries that it loads, nor the servers that it believes.
pub fn is_privileged() -> bool {
    #[cfg(target_os = "linux")]
    {
        const AT_SECURE: c_ulong = 23;
        // glibc's and musl's own function, of this signature; it only looks at what the kernel handed over at the start.
        unsafe extern "C" {
            safe fn getauxval(entry: c_ulong) -> c_ulong;
        }
        getauxval(AT_SECURE) != 0
    }
    #[cfg(not(target_os = "linux"))]
    {
        // The BSDs' and macOS's own function, of this signature.
        unsafe extern "C" {
            safe fn issetugid() -> c_int;
        }
        issetugid() != 0
    }
}
