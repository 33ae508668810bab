//! Loads a library that a plugin uses, and resolves all of its symbols at once.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Loads a shared library for the lifetime of the process, and resolves all symbols that it uses (`RTLD_NOW`). Without
/// that, the system's loader resolves a function at its first call, and ends the process if the function is missing.
/// This project uses it for libraries that other crates then open again.
///
/// The loader runs code of the library. The caller must trust the file.
///
/// # Errors
/// The message of the system's loader.
#[doc(hidden)]
pub fn load_and_resolve(library: &Path) -> Result<(), String> {
    let name = CString::new(library.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: `name` ends with NUL. The caller trusts the code of the library, see above.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: the function may be called from any thread, and returns the message of this thread's last call.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return Err("the system's loader gives no reason".to_owned());
    }
    // SAFETY: the message ends with NUL, and stays valid until this thread calls the loader again.
    Err(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
}
