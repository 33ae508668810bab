//! Loads a shared library into this process and starts its plugin.

#![expect(unsafe_code, reason = "loading a library runs its code and trusts its symbols")]

use std::ffi::{CStr, c_int, c_void};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mlflow_deploy_plugin_api::ffi::{HostCallbacks, Table, TableError, table_of};

use crate::load::dynamic_deps;
use crate::{LoadError, replacement};

/// The stack size of every thread that loads a plugin, and of the threads that call plugins in the command and in
/// isolated processes.
///
/// The size exceeds that of a main thread (8 MiB), so that a library that loads in one host also loads in every other.
/// A program should give its threads that call clients the same stack size, because these threads run code of plugins.
pub const STACK_SIZE: usize = 16 << 20;

/// Returns a builder of the threads that load or call plugins. All of them have the same stack size, so that a
/// preflight runs under the same conditions as the load that follows it.
pub(crate) fn thread() -> thread::Builder {
    thread::Builder::new().name("mlflow-deploy-load".to_owned()).stack_size(STACK_SIZE)
}

/// Exits the process without running `atexit` handlers, so that a plugin cannot keep the process alive. Such a handler
/// may hang, or wait for the lock of the dynamic loader. Removes the temporary file of an unfinished
/// [`Replacement`](crate::Replacement). The program must flush its own buffers before this call.
pub fn exit_now(code: u8) -> ! {
    replacement::remove_unfinished();
    // POSIX defines this signature and allows the call at any time.
    unsafe extern "C" {
        safe fn _exit(code: c_int) -> !;
    }
    _exit(code.into())
}

/// Loads the library, which stays loaded for the lifetime of the process, and starts an instance of its plugin. Blocks
/// until the instance has started.
pub(crate) fn start(path: &Path, host: Arc<dyn HostCallbacks>) -> Result<Table, LoadError> {
    // SAFETY: the file has the manifest of a plugin and can only be changed by the user and root. The plugin promises
    // that its initialisers are sound.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| not_loadable(path, &error))?;
    // The library is never unloaded, because its threads and functions live as long as the process.
    let library: &'static Library = Box::leak(Box::new(library));
    let symbol = |name: &CStr| {
        // SAFETY: the symbol is only used as an address here.
        let found = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) };
        found.ok().map(|symbol| symbol.into_raw().cast_const().cast::<c_void>())
    };
    // SAFETY: the library stays loaded, and by its manifest the plugin promises the types of these symbols.
    let table = unsafe { table_of(symbol) }.map_err(|error| match error {
        TableError::Abi { plugin, host } => LoadError::Abi { plugin, host },
        other => LoadError::Table(other),
    })?;
    // SAFETY: as above; the library stays loaded for the lifetime of the process.
    unsafe { Table::start(table, host) }.map_err(|error| LoadError::Init(error.to_string()))
}

/// Returns the error for a library that the dynamic loader rejected: its missing or old dependency, or else the
/// loader's message.
fn not_loadable(path: &Path, error: &libloading::Error) -> LoadError {
    let message = std::error::Error::source(error).map_or_else(|| format!("{error:?}"), ToString::to_string);
    // A dependency may also exist and be unreadable, or be for another processor. Only the loader's message reports
    // that.
    let is_missing = message.contains("No such file or directory");
    match dynamic_deps::check(path) {
        Err(missing @ LoadError::MissingDependency { .. }) if is_missing => missing,
        Err(old @ LoadError::OldDependency { .. }) => old,
        _ => LoadError::NotLoadable(message),
    }
}

/// Reads state of the process that the standard library does not show, such as ignored signals.
#[cfg(feature = "command")]
pub(crate) mod process {
    use std::ffi::c_int;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Calls a function before `main` that records which of the file descriptors 0, 1 and 2 are closed. Rust's runtime
    /// later opens `/dev/null` in their place.
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static NOTE_CLOSED: extern "C" fn() = note_closed;

    /// The file descriptors that were closed when the process started, one bit for each descriptor.
    static CLOSED: AtomicU8 = AtomicU8::new(0);

    extern "C" fn note_closed() {
        for file in 0..3 {
            // SAFETY: the function accepts any number and changes nothing.
            if unsafe { libc::fcntl(file, libc::F_GETFD) } == -1 {
                CLOSED.fetch_or(1 << file, Ordering::Relaxed);
            }
        }
    }

    /// Returns true if the file descriptor `file` was closed when the process started. `file` must be 0, 1 or 2.
    pub(crate) fn was_closed(file: u8) -> bool {
        CLOSED.load(Ordering::Relaxed) & 1 << file != 0
    }

    /// Registers a function for `exit` to call. `exit` calls these functions in the reverse order of their
    /// registration.
    pub(crate) fn at_exit(function: extern "C" fn()) {
        // POSIX declares this function with this signature.
        unsafe extern "C" {
            safe fn atexit(function: extern "C" fn()) -> c_int;
        }
        // If there is no memory for the registration, `exit` does not call the function.
        let _failed = atexit(function);
    }

    /// Returns true if the process ignores the signal.
    pub(crate) fn is_ignored(signal: c_int) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: it changes nothing, and `action` has the size that it writes.
        let status = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
        // SAFETY: it was zeroed, which is a valid value of this type.
        let action = unsafe { action.assume_init() };
        status == 0 && action.sa_sigaction == libc::SIG_IGN
    }

    /// Makes a write beyond the file size limit fail with an error. By default, the system ends the process instead.
    ///
    /// Installs an empty signal handler instead of ignoring the signal, because child processes inherit an ignored
    /// signal, but not a handler.
    pub(crate) fn outlive_file_size_limit() {
        extern "C" fn nothing(_signal: c_int) {}
        if !is_ignored(libc::SIGXFSZ) {
            let handler = nothing as extern "C" fn(c_int);
            // SAFETY: the handler is empty, so that it may run at any time.
            unsafe { libc::signal(libc::SIGXFSZ, handler as libc::sighandler_t) };
        }
    }
}
