//! A loaded plugin library, and its table before and after the checks that a host makes.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::path::Path;

use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};

use crate::Operation;
use crate::ffi::abi::{ENTRY_SYMBOL, PluginTable, SizedStruct};
use crate::ffi::{TableError, table_of};

/// A loaded plugin library, which is never unloaded.
#[derive(Clone, Copy)]
pub struct Library(&'static Loaded);

/// The members of a plugin's table that has not been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableFacts {
    /// The address of the table in memory.
    pub address: usize,
    /// The size of the table in bytes, as the table states it.
    pub size: u32,
    /// The version of the contract, as the table states it; 0 if the table is too small.
    pub abi: u32,
    /// The names of the functions in the table that are not NULL.
    pub functions: Vec<&'static str>,
}

impl Library {
    /// Loads a library as a host does, with `RTLD_NOW | RTLD_LOCAL`.
    ///
    /// # Safety
    /// The library's initializers may run in this process. If the library exports `mlflow_deploy_plugin_v1` or
    /// abi_stable's root module, the symbol has the type that belongs to its name, and the table starts with its size.
    ///
    /// # Errors
    /// The message of the system's loader.
    pub unsafe fn open(path: &Path) -> Result<Self, String> {
        // SAFETY: the caller makes the promise for the library's initializers.
        let loaded = unsafe { Loaded::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let message = |error: libloading::Error| {
            std::error::Error::source(&error).map_or_else(|| format!("{error:?}"), ToString::to_string)
        };
        loaded.map(|loaded| Self(Box::leak(Box::new(loaded)))).map_err(message)
    }

    /// Returns true if the library exports the symbol.
    pub fn exports(self, name: &CStr) -> bool {
        self.symbol(name).is_some()
    }

    /// Returns the members of the table without checking them; `None` if the library does not export the function that
    /// returns the table, or if the function returns NULL.
    pub fn table_facts(self) -> Option<TableFacts> {
        let table = self.entry()?;
        if table.is_null() {
            return None;
        }
        // SAFETY: not NULL, and the caller of `open` promises that a table starts with its size.
        let size = unsafe { table.cast::<u32>().read() };
        // SAFETY: as above; so many bytes are readable.
        let known = unsafe { PluginTable::copy_known(table) };
        Some(TableFacts {
            address: table.addr(),
            size,
            abi: known.map_or(0, |table| table.abi),
            functions: known.map(|table| functions(&table)).unwrap_or_default(),
        })
    }

    /// Checks the table as a host does, and returns it.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn table(self) -> Result<PluginTable, TableError> {
        // SAFETY: the library is never unloaded; the caller of `open` makes the promise for its symbols.
        unsafe { table_of(|name| self.symbol(name)) }
    }

    fn entry(self) -> Option<*const PluginTable> {
        let symbol = self.symbol(ENTRY_SYMBOL)?;
        // SAFETY: the caller of `open` promises that the symbol has this type.
        let entry = unsafe { std::mem::transmute::<*const c_void, extern "C" fn() -> *const PluginTable>(symbol) };
        Some(entry())
    }

    fn symbol(self, name: &CStr) -> Option<*const c_void> {
        // SAFETY: only the address of the symbol is used.
        let symbol = unsafe { self.0.get::<*const c_void>(name.to_bytes_with_nul()) };
        symbol.ok().map(|symbol| symbol.into_raw().cast_const().cast::<c_void>())
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Library")
    }
}

/// Returns the names of the functions in a table that are not NULL.
fn functions(table: &PluginTable) -> Vec<&'static str> {
    let own = [
        ("init", table.init.is_some()),
        ("shutdown", table.shutdown.is_some()),
        ("open", table.open.is_some()),
        ("close", table.close.is_some()),
        ("cancel", table.cancel.is_some()),
        ("credit", table.credit.is_some()),
        ("target_help", table.target_help.is_some()),
        ("run_local", table.run_local.is_some()),
    ];
    let operations = Operation::ALL.iter().map(|operation| (operation.name(), table.slot(*operation).is_some()));
    own.into_iter().chain(operations).filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}
