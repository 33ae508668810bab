//! Takes the table out of a loaded library, and checks it before a function of it is called.

use std::borrow::Cow;
use std::ffi::{CStr, c_void};
use std::fmt;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{AbiInstabilityErrors, check_layout_compatibility};
use abi_stable::library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use serde::{Deserialize, Serialize};

use super::abi::{ABI, ENTRY_SYMBOL, Growing, PluginTable, PluginTableRef};

/// Why a library's table was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TableError {
    /// The table speaks another version of the contract.
    Abi {
        /// The plugin's version.
        plugin: u32,
        /// The host's version.
        host: u32,
    },
    /// A Rust plugin whose table is laid out differently; the fragment says where they first differ.
    Layout(String),
    /// A function that every plugin must have is NULL.
    MissingFunction(Cow<'static, str>),
    /// The library has no way in: it exports no symbol that gives a table.
    NoEntry,
    /// The way in gave no table, or one that is too small to be one.
    NoTable,
}

impl fmt::Display for TableError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abi { plugin, host } if plugin > host => {
                write!(formatter, "it speaks ABI {plugin} and this host ABI {host}: upgrade the host")
            }
            Self::Abi { plugin, host } => {
                write!(formatter, "it speaks ABI {plugin} and this host ABI {host}: upgrade the plugin")
            }
            Self::Layout(difference) => write!(formatter, "its table is laid out differently: {difference}"),
            Self::MissingFunction(name) => write!(formatter, "its table lacks `{name}`, which every plugin must have"),
            Self::NoEntry => write!(formatter, "it does not export `{}`", ENTRY_SYMBOL.to_string_lossy()),
            Self::NoTable => write!(formatter, "`{}` gave no table", ENTRY_SYMBOL.to_string_lossy()),
        }
    }
}

impl std::error::Error for TableError {}

/// Takes a library's table: checks its layout where the plugin is written in Rust, then its version and its functions.
///
/// # Errors
/// Why the table was not taken, see [`TableError`].
///
/// # Safety
/// `symbol` looks symbols up in one library, which stays mapped for the life of the process and whose symbols
/// `mlflow_deploy_plugin_v1` and abi_stable's root module, where it has them, are what they are called.
pub unsafe fn table_of(symbol: impl Fn(&CStr) -> Option<*const c_void>) -> Result<PluginTable, TableError> {
    let header = CStr::from_bytes_with_nul(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()).ok().and_then(&symbol);
    if let Some(header) = header {
        // SAFETY: the caller promises that the symbol is abi_stable's header.
        unsafe { check_layout(header) }?;
    }
    let entry = symbol(ENTRY_SYMBOL).ok_or(TableError::NoEntry)?;
    // SAFETY: the caller promises that the symbol is the function of that name.
    let entry = unsafe { std::mem::transmute::<*const c_void, extern "C" fn() -> *const PluginTable>(entry) };
    // SAFETY: the library gives its own table, which is as large as it says.
    unsafe { PluginTable::copy_known(entry()) }.ok_or(TableError::NoTable).and_then(accept)
}

/// Takes a table that speaks this version of the contract and has what every plugin must have.
fn accept(table: PluginTable) -> Result<PluginTable, TableError> {
    if table.abi != ABI {
        return Err(TableError::Abi { plugin: table.abi, host: ABI });
    }
    let required = [
        ("init", table.init.is_some()),
        ("open", table.open.is_some()),
        ("close", table.close.is_some()),
        ("cancel", table.cancel.is_some()),
        ("credit", table.credit.is_some() || table.predict_stream.is_none() && table.run_local.is_none()),
    ];
    match required.iter().find(|(_, is_there)| !is_there) {
        Some((name, _)) => Err(TableError::MissingFunction(Cow::Borrowed(name))),
        None => Ok(table),
    }
}

/// Compares the layout that the plugin was compiled with to the host's.
///
/// abi_stable accepts a table that has more than is expected, not one that has less. Either is fine here, because the
/// table is copied by its size: an older plugin loads in a newer host, and a newer plugin in an older host.
///
/// # Safety
/// `header` points to abi_stable's header of a library that stays mapped.
unsafe fn check_layout(header: *const c_void) -> Result<(), TableError> {
    // SAFETY: the caller's promise; the header begins with the magic that `upgrade` checks.
    let header = unsafe { std::mem::transmute::<*const c_void, AbiHeaderRef>(header) };
    let header = header.upgrade().map_err(|error| TableError::Layout(first_line(&error)))?;
    let theirs = header.layout().ok_or_else(|| TableError::Layout("the plugin carries no layout".to_owned()))?;
    let ours = <PluginTableRef as StableAbi>::LAYOUT;
    match (check_layout_compatibility(ours, theirs), check_layout_compatibility(theirs, ours)) {
        (Err(difference), Err(_)) => Err(TableError::Layout(summary(&difference))),
        _ => Ok(()),
    }
}

/// The first difference in one line; abi_stable's own report has thousands.
fn summary(difference: &AbiInstabilityErrors) -> String {
    let Some(first) = difference.errors.iter().find(|error| !error.errs.is_empty()) else {
        return "abi_stable does not say where".to_owned();
    };
    let field = |frame: String| frame.lines().next().unwrap_or_default().trim_start_matches("field_name:").to_owned();
    let place: Vec<_> = first.stack_trace.iter().map(|frame| field(frame.expected.to_string())).collect();
    let what = first.errs.iter().map(first_line).next().unwrap_or_default();
    format!("{} ({what})", place.join(" > "))
}

fn first_line(text: &impl fmt::Debug) -> String {
    const LONGEST: usize = 120;
    let text = format!("{text:?}");
    text.lines().next().unwrap_or_default().chars().take(LONGEST).collect()
}
