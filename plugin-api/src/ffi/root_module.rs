//! The header of the crate abi_stable, which a host reads before it calls a function of a plugin in Rust: it describes the
//! layout of the plugin's table.
//!
//! No type of abi_stable is public in this crate. The header is the part of the contract that depends on it.

use std::fmt;

use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;

use super::export::loaded;
use super::layout::{PluginTable, PluginTableRef};

/// A plugin's table in the form in which abi_stable describes its layout.
pub struct StaticTable(WithMetadata<PluginTable>);

impl StaticTable {
    /// Returns this table, for a static.
    pub const fn new(table: PluginTable) -> Self {
        Self(WithMetadata::new(table))
    }

    pub(super) const fn table(&self) -> &PluginTable {
        &self.0.value.0
    }

    fn as_root_module(&'static self) -> PluginTableRef {
        PluginTableRef(self.0.static_as_prefix())
    }
}

/// A type that names the plugin of a library at compile time.
pub trait Exported {
    /// The path of the module that exports the plugin.
    const MODULE: &'static str;

    /// Returns the plugin's table.
    fn table() -> &'static StaticTable;
}

/// The header of a library, which the library exports as a static.
#[repr(transparent)]
pub struct LibraryHeader(LibHeader);

impl LibraryHeader {
    /// Returns the header of a library with this plugin.
    pub const fn of<P: Exported>() -> Self {
        // SAFETY: `root_module` returns a `PluginTableRef`.
        Self(unsafe { LibHeader::from_constructor::<PluginTableRef>(root_module::<P>, CheckTypeLayout::Yes) })
    }
}

impl fmt::Debug for StaticTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table().fmt(formatter)
    }
}

impl fmt::Debug for LibraryHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LibraryHeader")
    }
}

extern "C" fn root_module<P: Exported>() -> RootModuleResult {
    fn table<P: Exported>() -> PluginTableRef {
        loaded(P::MODULE);
        P::table().as_root_module()
    }
    __call_root_module_loader(table::<P>)
}
