//! Loads a shared library and starts the plugin in it.

#![expect(unsafe_code, reason = "loading a library runs its code, and takes its symbols at their word")]

use std::ffi::{CStr, c_int, c_void};
use std::path::Path;
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mlflow_deploy_plugin_api::ffi::{HostCallbacks, Table, TableError, table_of};

use crate::load::dynamic_deps;
use crate::{LoadError, replacement};

/// Ends the process at once, without what its libraries have registered for its end: a plugin that hangs there, or that
/// holds the loader's lock because it hangs while it is loaded, cannot keep the process alive. Buffers of the program's
/// own have to be flushed before. A [`Replacement`](crate::Replacement) that is not complete is removed.
pub fn exit_now(code: u8) -> ! {
    replacement::remove_unfinished();
    // POSIX's own function, of this signature; it may be called from anywhere.
    unsafe extern "C" {
        safe fn _exit(code: c_int) -> !;
    }
    _exit(code.into())
}

/// Loads the library, for the life of the process, and makes an instance of its plugin. It blocks for as long as that
/// takes.
pub(crate) fn start(path: &Path, host: Arc<dyn HostCallbacks>) -> Result<Table, LoadError> {
    // SAFETY: the file is a plugin by its manifest, from a place that only the user and root can write to; what its
    // initialisers do is the plugin's promise.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| not_loadable(path, &error))?;
    // Never unloaded: its threads and its functions live as long as the process.
    let library: &'static Library = Box::leak(Box::new(library));
    let symbol = |name: &CStr| {
        // SAFETY: the symbol is only taken as an address here.
        let found = unsafe { library.get::<*const c_void>(name.to_bytes_with_nul()) };
        found.ok().map(|symbol| symbol.into_raw().cast_const().cast::<c_void>())
    };
    // SAFETY: the library stays loaded, and a plugin by its manifest promises that these symbols are what they are called.
    let table = unsafe { table_of(symbol) }.map_err(|error| match error {
        TableError::Abi { plugin, host } => LoadError::Abi { plugin, host },
        other => LoadError::Table(other),
    })?;
    // SAFETY: as above; the library stays where it is for the life of the process.
    unsafe { Table::start(table, host) }.map_err(|error| LoadError::Init(error.to_string()))
}

/// What is wrong, in our words where we can tell, else in those of the system's loader.
fn not_loadable(path: &Path, error: &libloading::Error) -> LoadError {
    match dynamic_deps::check(path) {
        Err(refusal @ (LoadError::MissingDependency { .. } | LoadError::OldDependency { .. })) => refusal,
        _ => {
            let said = std::error::Error::source(error).map_or_else(|| format!("{error:?}"), ToString::to_string);
            LoadError::NotLoadable(said)
        }
    }
}

/// The process before `main`, and its signals.
#[cfg(feature = "command")]
pub(crate) mod process {
    use std::ffi::c_int;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Notes, before `main`, which of the files 0, 1 and 2 the process was started without: Rust's runtime opens `/dev/null`
    /// in their places, after which nothing tells the difference.
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static NOTE_CLOSED: extern "C" fn() = note_closed;

    /// A bit for each of the files 0, 1 and 2.
    static CLOSED: AtomicU8 = AtomicU8::new(0);

    extern "C" fn note_closed() {
        for file in 0..3 {
            // SAFETY: the function takes any number, and only looks at what is open by it.
            if unsafe { libc::fcntl(file, libc::F_GETFD) } == -1 {
                CLOSED.fetch_or(1 << file, Ordering::Relaxed);
            }
        }
    }

    /// Returns whether the process was started without the file 0, 1 or 2.
    pub(crate) fn was_closed(file: u8) -> bool {
        CLOSED.load(Ordering::Relaxed) & 1 << file != 0
    }

    /// Returns whether the process ignores the signal.
    pub(crate) fn is_ignored(signal: c_int) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: nothing is changed, and what is written fits.
        let asked = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
        // SAFETY: it was zeroed, which is a value of this type, before it was written to.
        let action = unsafe { action.assume_init() };
        asked == 0 && action.sa_sigaction == libc::SIG_IGN
    }

    /// Lets a write beyond the limit on the size of files fail, as on a full disk, where the system would end the process.
    ///
    /// It installs a handler that does nothing, because programs that this process starts get the default back in its place.
    pub(crate) fn outlive_file_size_limit() {
        extern "C" fn nothing(_signal: c_int) {}
        if !is_ignored(libc::SIGXFSZ) {
            let handler = nothing as extern "C" fn(c_int);
            // SAFETY: the handler does nothing, so that it may run at any time.
            unsafe { libc::signal(libc::SIGXFSZ, handler as libc::sighandler_t) };
        }
    }
}
