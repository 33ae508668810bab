//! Finds the symbols that a library uses and that no library provides. The dynamic loader rejects such a library, because
//! plugins are loaded with `RTLD_NOW`.
//!
//! Compares names only: a symbol counts as provided if a library provides it in any version. The loader may therefore
//! still reject a library that has no missing symbol here, but it rejects every library that has one.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use mlflow_deploy_plugin_api::manifest::Bounded;
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::SectionIndex;
use object::read::elf::{FileHeader, Rela, SectionHeader, SectionTable, Sym};

use super::ResolvedLibrary;
use super::library::Library;
use super::object::MAX_BYTES;
use super::search::LibrarySearch;
use crate::discovery::plugin_file::PluginFile;

type Names = HashSet<Vec<u8>>;

/// Returns a symbol that one of the libraries uses and that is not provided, with the path of that library. Returns
/// `None` if there is no such symbol, or if the symbols of a library cannot be read. `libraries` contains all libraries
/// that the loader would load or has loaded.
///
/// A symbol is provided by the libraries themselves, or by any library of this process, such as a preloaded one.
pub(super) fn missing<'a>(search: &LibrarySearch, libraries: &'a [ResolvedLibrary]) -> Option<(&'a Path, String)> {
    let paths = libraries.iter().map(|library| library.path.as_path());
    let new: Vec<&Path> = paths.filter(|path| !search.is_loaded(path)).collect();
    let mut names = Names::new();
    for path in &new {
        with_symbols(path, |symbols| names.extend(symbols.undefined()))?;
    }
    for ResolvedLibrary { path, library, .. } in libraries {
        let defined = library.defined(path)?;
        names.retain(|name| !defined.contains(name));
    }
    for library in search.loaded() {
        if names.is_empty() {
            return None;
        }
        // A library that was deleted after it was loaded cannot be read, but still provides its symbols.
        if library.as_os_str().as_bytes().ends_with(b" (deleted)") {
            return None;
        }
        // The process has also mapped files that are not libraries.
        let known = Library::read(library);
        if let Some(defined) = known.as_ref().ok().and_then(|known| known.defined(library)) {
            names.retain(|name| !defined.contains(name));
        }
    }
    new.into_iter().find_map(|library| Some((library, with_symbols(library, |symbols| symbols.first_used(&names))??)))
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
    /// Returns the names of the symbols that another library must provide. A weak symbol may be missing.
    fn undefined(&self) -> impl Iterator<Item = Vec<u8>> {
        let is_needed =
            |symbol: &&elf::Sym64<Endianness>| symbol.is_undefined(self.endian) && symbol.st_bind() == elf::STB_GLOBAL;
        self.table.iter().filter(is_needed).filter_map(|symbol| Some(self.name(symbol)?.to_vec()))
    }

    /// Returns the names of the symbols that the library provides.
    fn defined(&self) -> Names {
        let defined = self.table.iter().filter(|symbol| !symbol.is_undefined(self.endian));
        defined.filter_map(|symbol| Some(self.name(symbol)?.to_vec())).collect()
    }

    /// Returns the first of the undefined symbols `names` that a relocation uses. The loader does not search for the
    /// other ones.
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

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::LoadError;
    use crate::load::dynamic_deps::dependencies;

    /// Compiles a library from C code with the given linker flags.
    fn library(folder: &Path, name: &str, code: &str, flags: &[&str]) -> PathBuf {
        let path = folder.join(name);
        let source = folder.join("code.c");
        fs::write(&source, code).unwrap();
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"]).arg(&path).arg(&source);
        assert!(compile.arg("-L").arg(folder).args(flags).status().unwrap().success());
        path
    }

    #[test]
    fn a_symbol_that_no_library_provides_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let rpath = ["-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"];
        let declare = "int lost_symbol(void); int found_symbol(void);";
        let use_found = format!("{declare} int top(void) {{ return found_symbol(); }}");
        let alone = library(&folder, "alone.so", &use_found, &[]);
        library(&folder, "libfound.so", "int found_symbol(void) { return 1; }", &[]);
        let found = library(&folder, "found.so", &use_found, &[&["-lfound"][..], &rpath].concat());
        library(&folder, "liblost.so", &format!("{declare} int middle(void) {{ return lost_symbol(); }}"), &[]);
        let indirect = library(&folder, "indirect.so", "int top;", &[&["-llost"][..], &rpath].concat());
        let of_user = "int lost_symbol(void) { return 2; }";
        let of_user = library(&folder, "of_user.so", of_user, &[&["-llost"][..], &rpath].concat());
        let weak = "__attribute__((weak)) int lost_symbol(void); int top(void) { return lost_symbol ? 1 : 0; }";
        let weak = library(&folder, "weak.so", weak, &[]);
        // The program has loaded the C library, so its symbols are found without an entry for it in the file.
        let of_process = "int puts(const char *); int top(void) { return puts(\"\"); }";
        let of_process = library(&folder, "of_process.so", of_process, &["-nostdlib"]);
        let unused = library(&folder, "unused.so", "int top;", &["-Wl,-u,lost_symbol"]);

        for (file, user, symbol) in
            [(&alone, alone.clone(), "found_symbol"), (&indirect, folder.join("liblost.so"), "lost_symbol")]
        {
            let error = dependencies(file, true).unwrap_err();
            let expected = format!("{}: undefined symbol: {symbol}", user.display());
            assert!(matches!(&error, LoadError::NotLoadable(why) if *why == expected), "{error}");
        }
        for file in [found, of_user, weak, of_process, unused] {
            dependencies(&file, true).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}
