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

/// The names of a library's dynamic symbols.
pub(super) struct Symbols {
    /// The symbols that the library provides.
    pub(super) defined: HashSet<Vec<u8>>,
    /// The symbols that another library must provide. A weak symbol may be missing.
    pub(super) undefined: Vec<Vec<u8>>,
}

impl Symbols {
    /// Reads the symbols of a library. Returns `None` if they cannot be read.
    pub(super) fn read(library: &Path) -> Option<Self> {
        with_symbols(library, |symbols| {
            let is_undefined = |symbol: &&elf::Sym64<Endianness>| symbol.is_undefined(symbols.endian);
            let is_needed = |symbol: &&elf::Sym64<Endianness>| symbol.st_bind() == elf::STB_GLOBAL;
            let name = |symbol| Some(symbols.name(symbol)?.to_vec());
            let (undefined, defined): (Vec<_>, Vec<_>) = symbols.table.iter().partition(is_undefined);
            Self {
                defined: defined.into_iter().filter_map(name).collect(),
                undefined: undefined.into_iter().filter(is_needed).filter_map(name).collect(),
            }
        })
    }
}

/// Returns the first of the undefined symbols `names` that a relocation of a library uses. The loader does not search
/// for the other ones.
pub(super) fn first_used(library: &Path, names: &HashSet<&[u8]>) -> Option<String> {
    with_symbols(library, |symbols| symbols.first_used(names))?
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
    fn first_used(&self, names: &HashSet<&[u8]>) -> Option<String> {
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
