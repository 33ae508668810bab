//! Loads a shared library and starts the plugin in it.

#![expect(unsafe_code, reason = "loading a library runs its code, and takes its symbols at their word")]

use std::ffi::{CStr, c_int, c_void};
use std::path::Path;
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mlflow_deploy_plugin_api::ffi::{Table, TableError, ToHost, table_of};

use crate::{Refusal, linkage};

/// Ends the process at once, without what its libraries have registered for its end: a plugin that hangs there, or that
/// holds the loader's lock because it hangs while it is loaded, cannot keep the process alive. Buffers of the program's
/// own have to be flushed before.
pub fn leave(code: u8) -> ! {
    // POSIX's own function, of this signature; it may be called from anywhere.
    unsafe extern "C" {
        safe fn _exit(code: c_int) -> !;
    }
    _exit(code.into())
}

/// Loads the library, for the life of the process, and makes an instance of its plugin. It blocks for as long as that
/// takes.
pub(crate) fn start(path: &Path, host: Arc<dyn ToHost>) -> Result<Table, Refusal> {
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
        TableError::Abi { plugin, host } => Refusal::Abi { plugin, host },
        other => Refusal::Table(other),
    })?;
    // SAFETY: as above; the library stays where it is for the life of the process.
    unsafe { Table::start(table, host) }.map_err(|error| Refusal::Init(error.to_string()))
}

/// What is wrong, in our words where we can tell, else in those of the system's loader.
fn not_loadable(path: &Path, error: &libloading::Error) -> Refusal {
    match linkage::check(path) {
        Err(refusal @ (Refusal::MissingDependency { .. } | Refusal::OldDependency { .. })) => refusal,
        _ => {
            let said = std::error::Error::source(error).map_or_else(|| format!("{error:?}"), ToString::to_string);
            Refusal::NotLoadable(said)
        }
    }
}
