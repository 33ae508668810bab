//! Reads the dynamic symbols of a library: those that it uses, and those that it provides. Compares names only: a symbol
//! counts as provided in any version.

use std::collections::HashSet;
use std::path::Path;

use mlflow_deploy_plugin_api::manifest::Bounded;
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::SectionIndex;
use object::read::elf::{FileHeader, Rela, SectionHeader, SectionTable, Sym};

use super::object::MAX_BYTES;
use crate::discovery::plugin_file::PluginFile;

/// The names of symbols.
pub(super) type Names = HashSet<Vec<u8>>;

/// Returns the names of the symbols that another library must provide, or `None` if they cannot be read. A weak symbol
/// may be missing.
pub(super) fn undefined(library: &Path) -> Option<Names> {
    with_symbols(library, |symbols| symbols.undefined())
}

/// Returns the first of the undefined symbols `names` that a relocation of a library uses. The loader does not search
/// for the other ones.
pub(super) fn first_used(library: &Path, names: &Names) -> Option<String> {
    with_symbols(library, |symbols| symbols.first_used(names))?
}

/// Returns the names of the symbols that a library provides, or `None` if they cannot be read.
pub(super) fn defined(library: &Path) -> Option<Names> {
    with_symbols(library, |symbols| symbols.defined())
}

/// The dynamic symbols of a library.
struct DynamicSymbols<'a> {
    data: &'a Bounded<'a>,
    endian: Endianness,
    sections: SectionTable<'a, FileHeader64<Endianness>, &'a Bounded<'a>>,
    /// The index of the section that contains the symbols.
    index: SectionIndex,
    table: &'a [elf::Sym64<Endianness>],
    /// The names of the symbols, each of which ends with a NUL.
    names: &'a [u8],
}

/// Calls a function with the dynamic symbols of a library. Returns `None` if they cannot be read.
fn with_symbols<T>(library: &Path, read: impl FnOnce(&DynamicSymbols<'_>) -> T) -> Option<T> {
    let opened = PluginFile::open(library).ok()?;
    let bounded = Bounded::new(&opened.file, MAX_BYTES);
    let data = &bounded;
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let (index, section) = sections.enumerate().find(|(_, section)| section.sh_type(endian) == elf::SHT_DYNSYM)?;
    let table = section.data_as_array(endian, data).ok()?;
    let names = sections.section(section.link(endian)).ok()?.data(endian, data).ok()?;
    Some(read(&DynamicSymbols { data, endian, sections, index, table, names }))
}

impl<'a> DynamicSymbols<'a> {
    fn undefined(&self) -> Names {
        let is_needed =
            |symbol: &&elf::Sym64<Endianness>| symbol.is_undefined(self.endian) && symbol.st_bind() == elf::STB_GLOBAL;
        self.table.iter().filter(is_needed).filter_map(|symbol| Some(self.name(symbol)?.to_vec())).collect()
    }

    fn defined(&self) -> Names {
        let defined = self.table.iter().filter(|symbol| !symbol.is_undefined(self.endian));
        defined.filter_map(|symbol| Some(self.name(symbol)?.to_vec())).collect()
    }

    fn first_used(&self, names: &Names) -> Option<String> {
        let relocations = self.sections.iter().filter_map(|section| section.rela(self.endian, self.data).ok()?);
        let relocations = relocations.filter(|(_, symbols)| *symbols == self.index).flat_map(|(list, _)| list);
        let mut used = relocations.filter_map(|relocation| self.table.get(relocation.symbol(self.endian, false)?.0));
        used.find_map(|symbol| {
            let is_missing = |name: &&[u8]| {
                symbol.is_undefined(self.endian) && symbol.st_bind() == elf::STB_GLOBAL && names.contains(*name)
            };
            self.name(symbol).filter(is_missing).map(|name| String::from_utf8_lossy(name).into_owned())
        })
    }

    fn name(&self, symbol: &elf::Sym64<Endianness>) -> Option<&'a [u8]> {
        let start = usize::try_from(symbol.st_name(self.endian)).ok()?;
        self.names.get(start..)?.split(|byte| *byte == 0).next()
    }
}
