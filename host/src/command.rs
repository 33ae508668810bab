//! Standard files and signals for a program that owns its process, such as a command. Libraries do not use this.
//!
//! A command calls [`prepare`] first, and uses [`stdin`] and [`stdout`]. Those of `std` hide that a file is closed: reads
//! return an empty input, and writes succeed.
//!
//! ```
//! use std::io::Write;
//!
//! mlflow_deploy::command::prepare();
//! mlflow_deploy::command::stdout()?.write_all(b"ready\n")?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};

use crate::load::library::process;

/// Prepares the process.
///
/// - Files 0, 1 and 2 that were closed when the process was started fail with `EBADF` from now on, also if they are
///   opened as `/dev/stdin`, `/dev/stdout` or `/dev/stderr`.
/// - A write beyond the file size limit (`ulimit -f`) returns an error instead of ending the process.
pub fn prepare() {
    process::outlive_file_size_limit();
    // Neither readable nor writable, also if opened again by name.
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(unusable) = rustix::fs::open("/", flags, Mode::empty()) else { return };
    for file in (0..3).filter(|file| process::was_closed(*file)) {
        // On failure, `/dev/null` stays in place.
        let _unchanged = match file {
            0 => rustix::stdio::dup2_stdin(&unusable),
            1 => rustix::stdio::dup2_stdout(&unusable),
            _ => rustix::stdio::dup2_stderr(&unusable),
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
/// Fails if the process can open no more files.
pub fn stdout() -> io::Result<File> {
    copy(rustix::stdio::stdout())
}

/// Returns true if closing the terminal (`SIGHUP`) ends the process; false under `nohup`, which ignores the signal.
pub fn ends_with_terminal() -> bool {
    !process::is_ignored(libc::SIGHUP)
}

fn copy(file: BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(file, 3)?))
}
