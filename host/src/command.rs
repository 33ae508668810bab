//! Standard files and signals for a program that owns its process, such as a command. Libraries do not use this.
//!
//! A command calls [`prepare`] first, and uses [`stdin`] and [`stdout`]. The functions of `std` hide that a file is
//! closed: a read returns no bytes, and a write succeeds.
//!
//! A plugin in the command's process can print to standard output, and can call `exit`. [`reserve_stdout`] keeps the
//! plugin's output out of the command's output, and [`on_exit`] handles such an exit.
//!
//! ```
//! use std::io::Write;
//!
//! use mlflow_deploy::command;
//!
//! command::prepare();
//! command::reserve_stdout();
//! let _guard = command::on_exit(|| 4);
//! command::stdout()?.write_all(b"ready\n")?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, OnceLock};

use mlflow_deploy_plugin_api::sync;
use rustix::fs::{Mode, OFlags};

use crate::load::library::{exit_now, process};
use crate::reserved_stdout;

/// The handler that [`on_exit`] sets.
static EXIT_HANDLER: Mutex<Option<Box<dyn Fn() -> u8 + Send>>> = Mutex::new(None);

/// Prepares the process of a command.
///
/// - If a file descriptor 0, 1 or 2 was closed when the process started, its use fails with `EBADF` from now on, also
///   if it is opened as `/dev/stdin`, `/dev/stdout` or `/dev/stderr`.
/// - A write beyond the file size limit (`ulimit -f`) returns an error instead of ending the process.
pub fn prepare() {
    process::outlive_file_size_limit();
    // This file is neither readable nor writable, also if it is opened again by name.
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

/// Reserves standard output for [`stdout`] and for [`Replacement`](crate::Replacement). File descriptor 1 becomes a
/// copy of standard error, so that the output of a plugin or of another library does not get into the output of the
/// program.
pub fn reserve_stdout() {
    reserved_stdout::reserve();
}

/// Sets a handler that runs if a library ends the process by calling `exit`. Without a handler, the library chooses the
/// exit code, which may report success.
///
/// `handler` reports the event and returns the exit code. It runs on the thread that called `exit`, after the functions
/// that libraries have registered with `atexit`. It does not run if the process ends by [`exit_now`], by `_exit` or by
/// a signal. Dropping the guard removes the handler.
pub fn on_exit(handler: impl Fn() -> u8 + Send + 'static) -> ExitGuard {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    extern "C" fn at_exit() {
        let handler = sync::lock(&EXIT_HANDLER).take();
        if let Some(handler) = handler {
            exit_now(handler());
        }
    }
    *sync::lock(&EXIT_HANDLER) = Some(Box::new(handler));
    REGISTERED.get_or_init(|| process::at_exit(at_exit));
    ExitGuard(())
}

/// Removes the handler of [`on_exit`] when it is dropped.
#[must_use = "the handler is removed when the guard is dropped"]
pub struct ExitGuard(());

impl Drop for ExitGuard {
    fn drop(&mut self) {
        sync::lock(&EXIT_HANDLER).take();
    }
}

impl fmt::Debug for ExitGuard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ExitGuard")
    }
}

/// Returns standard input. A read fails if standard input is closed or not open for reading.
///
/// # Errors
/// Fails if the process cannot open another file.
pub fn stdin() -> io::Result<File> {
    copy(rustix::stdio::stdin())
}

/// Returns standard output, without a buffer. A write fails if standard output is closed or not open for writing.
///
/// # Errors
/// Fails if the process cannot open another file.
pub fn stdout() -> io::Result<File> {
    copy(reserved_stdout::file())
}

/// Returns true if closing the terminal (`SIGHUP`) ends the process; false under `nohup`, which ignores the signal.
pub fn ends_with_terminal() -> bool {
    !process::is_ignored(libc::SIGHUP)
}

fn copy(file: BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(file, 3)?))
}
