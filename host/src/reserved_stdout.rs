//! Reserves standard output for the program: file descriptor 1 then refers to another file. Reserves nothing until
//! [`reserve`] is called.

use std::borrow::Cow;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The standard output that the process was started with, once it is reserved.
static RESERVED: OnceLock<OwnedFd> = OnceLock::new();

/// Makes file descriptor 1 a copy of standard error, and keeps the original.
pub(crate) fn reserve() {
    // On failure, the program and its libraries share standard output.
    let Ok(original) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3) else { return };
    if RESERVED.set(original).is_ok() {
        let _shared = rustix::stdio::dup2_stdout(rustix::stdio::stderr());
    }
}

/// Returns the standard output that the process was started with.
pub(crate) fn file() -> BorrowedFd<'static> {
    RESERVED.get().map_or_else(rustix::stdio::stdout, AsFd::as_fd)
}

/// Returns the path of the reserved standard output for a path that leads to file descriptor 1, such as `/dev/stdout`.
/// Returns other paths unchanged, and all paths if standard output is not reserved.
pub(crate) fn path(path: &Path) -> Cow<'_, Path> {
    /// The maximum length of a chain of links. The system rejects a longer one.
    const MAX_LINKS: usize = 40;
    const NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    let Some(reserved) = RESERVED.get() else { return path.into() };
    let mut followed = Cow::Borrowed(path);
    for _ in 0..MAX_LINKS {
        if NAMES.iter().any(|name| *followed == *Path::new(name)) {
            return PathBuf::from(format!("/dev/fd/{}", reserved.as_raw_fd())).into();
        }
        let Ok(link) = fs::read_link(&followed) else { break };
        followed = followed.parent().unwrap_or(Path::new("/")).join(link).into();
    }
    path.into()
}
