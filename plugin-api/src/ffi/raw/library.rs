//! A library as it is loaded, and its table as it is found there.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::path::Path;

use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};

use crate::Operation;
use crate::ffi::abi::{ENTRY_SYMBOL, Growing, PluginTable};
use crate::ffi::{TableError, table_of};

/// A library that was loaded for the life of the process.
#[derive(Clone, Copy)]
pub struct Library(&'static Loaded);

/// What a table says of itself, before anybody accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableFacts {
    /// Where it is.
    pub address: usize,
    /// Its size in bytes, as it says itself.
    pub size: u32,
    /// The version of the contract that it says it speaks; 0 where it is too small to say.
    pub abi: u32,
    /// The names of the functions that it has.
    pub functions: Vec<&'static str>,
}

impl Library {
    /// Loads a library as a host does, with `RTLD_NOW | RTLD_LOCAL`.
    ///
    /// # Errors
    /// What the system's loader says.
    pub fn open(path: &Path) -> Result<Self, String> {
        // SAFETY: nobody vouches for what the library's initialisers do; this process was given up for it.
        let loaded = unsafe { Loaded::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let said = |error: libloading::Error| {
            std::error::Error::source(&error).map_or_else(|| format!("{error:?}"), ToString::to_string)
        };
        loaded.map(|loaded| Self(Box::leak(Box::new(loaded)))).map_err(said)
    }

    /// Whether it exports a symbol.
    pub fn exports(self, name: &CStr) -> bool {
        self.symbol(name).is_some()
    }

    /// What its table says of itself; `None` where it has no way in, or the way in gives NULL.
    pub fn table_facts(self) -> Option<TableFacts> {
        let table = self.entry()?;
        if table.is_null() {
            return None;
        }
        // SAFETY: not NULL, and every table begins with its size.
        let size = unsafe { table.cast::<u32>().read() };
        // SAFETY: the library says that so many bytes are readable.
        let known = unsafe { PluginTable::copy_known(table) };
        Some(TableFacts {
            address: table.addr(),
            size,
            abi: known.map_or(0, |table| table.abi),
            functions: known.map(|table| functions(&table)).unwrap_or_default(),
        })
    }

    /// The table, as a host accepts it.
    ///
    /// # Errors
    /// Why a host would not, see [`TableError`].
    pub fn table(self) -> Result<PluginTable, TableError> {
        // SAFETY: the library is never unloaded; that its symbols are what they are called is what is being tested.
        unsafe { table_of(|name| self.symbol(name)) }
    }

    fn entry(self) -> Option<*const PluginTable> {
        let symbol = self.symbol(ENTRY_SYMBOL)?;
        // SAFETY: a library that exports this name exports this function.
        let entry = unsafe { std::mem::transmute::<*const c_void, extern "C" fn() -> *const PluginTable>(symbol) };
        Some(entry())
    }

    fn symbol(self, name: &CStr) -> Option<*const c_void> {
        // SAFETY: the symbol is only taken as an address here.
        let found = unsafe { self.0.get::<*const c_void>(name.to_bytes_with_nul()) };
        found.ok().map(|symbol| symbol.into_raw().cast_const().cast::<c_void>())
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Library")
    }
}

/// The names of the functions that a table has.
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
