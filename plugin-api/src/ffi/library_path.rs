//! Finds the path of the shared library that contains this code.

use std::ffi::{CStr, OsStr, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Returns the path of the shared library that contains the calling code, for example to find data files beside it.
/// Returns `None` if the system does not report a path. If the code is not part of a shared library, as in a test,
/// returns the path of the program.
///
/// ```
/// let library = mlflow_deploy_plugin_api::library_path();
/// let folder = library.as_deref().and_then(|path| path.parent());
/// assert!(folder.is_some());
/// ```
pub fn library_path() -> Option<PathBuf> {
    let here = (library_path as *const ()).cast::<c_void>();
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `here` is an address in this library, and `found` has room for the result.
    if unsafe { libc::dladdr(here, found.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: all zeroes is a valid `Dl_info`, and so is the result of `dladdr`.
    let found = unsafe { found.assume_init() };
    if found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's name of a library ends with NUL, and stays valid because libraries are never unloaded.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(all(test, not(miri)))]
mod tests {
    #[test]
    fn the_library_of_a_test_is_its_program() {
        let path = super::library_path().unwrap().canonicalize().unwrap();
        assert_eq!(path, std::env::current_exe().unwrap().canonicalize().unwrap());
    }
}
