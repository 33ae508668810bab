//! What a command needs of its process, and an embedder leaves to its program: standard files whose faults are seen, and
//! signals.
//!
//! A command calls [`prepare`] first, and reads and writes through [`stdin`] and [`stdout`]: those of `std` take a file
//! that is closed for one that is empty, or that takes everything.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};

use crate::load::library::process;

/// Prepares the process.
///
/// - Files 0, 1 and 2 that were closed when the process was started fail with `EBADF` from now on, and under
///   `/dev/stdin` and its like as well.
/// - A write beyond the limit on the size of files (`ulimit -f`) is an error in place of the end of the process.
pub fn prepare() {
    process::outlive_file_size_limit();
    // What can neither be read nor written, also where it is opened anew by its name.
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(useless) = rustix::fs::open("/", flags, Mode::empty()) else { return };
    for file in (0..3).filter(|file| process::was_closed(*file)) {
        // Where that fails, `/dev/null` stays there.
        let _unchanged = match file {
            0 => rustix::stdio::dup2_stdin(&useless),
            1 => rustix::stdio::dup2_stdout(&useless),
            _ => rustix::stdio::dup2_stderr(&useless),
        };
    }
}

/// Returns standard input. A read from a file that is closed or not open for reading fails.
///
/// # Errors
/// Fails if the process can open no more files.
pub fn stdin() -> io::Result<File> {
    copy(rustix::stdio::stdin())
}

/// Returns standard output. It has no buffer; a write to a file that is closed or not open for writing fails.
///
/// # Errors
/// As [`stdin`].
pub fn stdout() -> io::Result<File> {
    copy(rustix::stdio::stdout())
}

/// Returns whether a closed terminal (`SIGHUP`) ends the process: not under `nohup`, which has it ignored.
pub fn ends_with_terminal() -> bool {
    !process::is_ignored(libc::SIGHUP)
}

fn copy(file: BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(file, 3)?))
}
