//! The end of the process, for plugins that wrap a library which takes itself apart then.

use std::ffi::c_int;
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
