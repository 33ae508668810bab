//! Reads the table of a loaded plugin library, and checks it before a function of the table is called.

use std::borrow::Cow;
use std::ffi::{CStr, c_void};
use std::fmt;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{AbiInstabilityErrors, check_layout_compatibility};
use abi_stable::library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use serde::{Deserialize, Serialize};

use super::abi::{ABI, ENTRY_SYMBOL, PluginTable, SizedStruct};
use super::layout::PluginTableRef;

/// The reason why a library's table was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TableError {
    /// The table follows another version of the contract than the host.
    Abi {
        /// The version of the contract that the plugin follows.
        plugin: u32,
        /// The version of the contract that the host follows.
        host: u32,
    },
    /// The plugin is written in Rust, and its table has another layout than the host expects. The text names the first
    /// difference.
    Layout(String),
    /// A required function is NULL. The text is the name of the function.
    MissingFunction(Cow<'static, str>),
    /// The library does not export the function that returns the table.
    NoEntry,
    /// The library's function returned NULL, or a table that is too small.
    NoTable,
}

impl fmt::Display for TableError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abi { plugin, host } if plugin > host => {
                write!(formatter, "the plugin uses ABI {plugin}, this host ABI {host}: upgrade the host")
            }
            Self::Abi { plugin, host } => {
                write!(formatter, "the plugin uses ABI {plugin}, this host ABI {host}: upgrade the plugin")
            }
            Self::Layout(difference) => write!(formatter, "the layout of its table differs: {difference}"),
            Self::MissingFunction(name) => write!(formatter, "its table lacks the required function `{name}`"),
            Self::NoEntry => write!(formatter, "it does not export `{}`", ENTRY_SYMBOL.to_string_lossy()),
            Self::NoTable => write!(formatter, "`{}` returned no table", ENTRY_SYMBOL.to_string_lossy()),
        }
    }
}

impl std::error::Error for TableError {}

/// Looks up and returns a library's table. Checks the table's layout if the plugin is written in Rust, then its version
/// and its functions.
///
/// # Errors
/// See [`TableError`].
///
/// # Safety
/// `symbol` looks up symbols of one library, which stays mapped for the life of the process. If the library exports
/// `mlflow_deploy_plugin_v1` or abi_stable's root module, the symbol has the type that belongs to its name.
pub unsafe fn table_of(symbol: impl Fn(&CStr) -> Option<*const c_void>) -> Result<PluginTable, TableError> {
    let header = CStr::from_bytes_with_nul(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()).ok().and_then(&symbol);
    if let Some(header) = header {
        // SAFETY: the caller promises that the symbol is abi_stable's header.
        unsafe { check_layout(header) }?;
    }
    let entry = symbol(ENTRY_SYMBOL).ok_or(TableError::NoEntry)?;
    // SAFETY: the caller promises that the symbol is the function of that name.
    let entry = unsafe { std::mem::transmute::<*const c_void, extern "C" fn() -> *const PluginTable>(entry) };
    // SAFETY: the library returns its own table, which starts with its size.
    unsafe { PluginTable::copy_known(entry()) }.ok_or(TableError::NoTable).and_then(accept)
}

/// Returns the table unchanged. Fails if it follows another version of the contract, or if a required function is NULL.
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

/// Compares the table layout that the plugin was compiled with to the host's layout.
///
/// abi_stable accepts a table with more members than expected, but not one with fewer. Both are valid here, because the
/// table is copied by its size: an older plugin loads in a newer host, and a newer plugin in an older host.
///
/// # Safety
/// `header` points to abi_stable's header of a library that stays mapped.
unsafe fn check_layout(header: *const c_void) -> Result<(), TableError> {
    // SAFETY: the caller's promise; the header begins with the magic that `upgrade` checks.
    let header = unsafe { std::mem::transmute::<*const c_void, AbiHeaderRef>(header) };
    let header = header.upgrade().map_err(|error| TableError::Layout(first_line(&error)))?;
    let theirs = header.layout().ok_or_else(|| TableError::Layout("the plugin has no layout".to_owned()))?;
    let ours = <PluginTableRef as StableAbi>::LAYOUT;
    match (check_layout_compatibility(ours, theirs), check_layout_compatibility(theirs, ours)) {
        (Err(difference), Err(_)) => Err(TableError::Layout(summary(&difference))),
        _ => Ok(()),
    }
}

/// Describes the first difference between two layouts in one line. abi_stable's own report has thousands of lines.
fn summary(difference: &AbiInstabilityErrors) -> String {
    let Some(first) = difference.errors.iter().find(|error| !error.errs.is_empty()) else {
        return "abi_stable does not report where".to_owned();
    };
    let field = |frame: String| frame.lines().next().unwrap_or_default().trim_start_matches("field_name:").to_owned();
    let place: Vec<_> = first.stack_trace.iter().map(|frame| field(frame.expected.to_string())).collect();
    let what = first.errs.iter().map(first_line).next().unwrap_or_default();
    format!("{} ({what})", place.join(" > "))
}

fn first_line(text: &impl fmt::Debug) -> String {
    const MAX_LEN: usize = 120;
    let text = format!("{text:?}");
    text.lines().next().unwrap_or_default().chars().take(MAX_LEN).collect()
}
