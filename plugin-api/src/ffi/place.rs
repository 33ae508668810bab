//! Where the library lies that this code was built into.

use std::ffi::{CStr, OsStr, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The file of the plugin that asks, as it was loaded: what it needs may lie beside it. `None` where the system does not
/// know. In a program that was not loaded, such as a test, it is the program's own file.
pub fn library_path() -> Option<PathBuf> {
    let here = (library_path as *const ()).cast::<c_void>();
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `here` is an address in this library, and `found` has room for what is written.
    if unsafe { libc::dladdr(here, found.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: all zeroes is a valid `Dl_info`, and `dladdr` has written another.
    let found = unsafe { found.assume_init() };
    if found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's name of a library ends with NUL and stays where it is, for libraries are never unloaded.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(all(test, not(miri)))]
mod tests {
    #[test]
    fn a_test_is_its_own_library() {
        let path = super::library_path().unwrap().canonicalize().unwrap();
        assert_eq!(path, std::env::current_exe().unwrap().canonicalize().unwrap());
    }
}
