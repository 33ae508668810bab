//! Reserves standard output for the program: libraries that write to file descriptor 1 then write to standard error.
//! Reserves nothing until [`reserve`] is called.

use std::borrow::Cow;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The file descriptor of the original standard output, once [`reserve`] has been called.
static RESERVED: OnceLock<OwnedFd> = OnceLock::new();

/// Makes file descriptor 1 a copy of standard error. Keeps the original standard output for the program.
pub(crate) fn reserve() {
    // On failure, the program and its libraries share standard output.
    let Ok(original) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3) else { return };
    if RESERVED.set(original).is_ok() {
        let _shared = rustix::stdio::dup2_stdout(rustix::stdio::stderr());
    }
}

/// Returns the standard output with which the process was started.
pub(crate) fn file() -> BorrowedFd<'static> {
    RESERVED.get().map_or_else(rustix::stdio::stdout, AsFd::as_fd)
}

/// Replaces a path that leads to file descriptor 1, such as `/dev/stdout`, with the path of the reserved standard
/// output. Returns other paths unchanged. Returns all paths unchanged if standard output is not reserved.
pub(crate) fn path(path: &Path) -> Cow<'_, Path> {
    /// The maximum number of links to follow from a path. The system rejects a path with more links.
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
