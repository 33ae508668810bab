//! Finds the symbols that a library uses and that no library provides. The dynamic loader rejects such a library, because
//! plugins are loaded with `RTLD_NOW`.
//!
//! A symbol counts as provided if a library provides it in any version. The loader may therefore still reject a library
//! that has no missing symbol here, but it rejects every library that has one.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::library::Library;
use super::search::LibrarySearch;
use super::symbols;

/// Returns a symbol that one of the libraries uses and that is not provided, with the path of that library. Returns
/// `None` if there is no such symbol, or if the symbols of a library cannot be read. `libraries` contains all libraries
/// that the loader would load or has loaded.
///
/// A symbol is provided by the libraries themselves, or by any library of this process, such as a preloaded one.
pub(super) fn find<'a>(search: &LibrarySearch, libraries: &[(&'a Path, &Library)]) -> Option<(&'a Path, String)> {
    let new: Vec<_> = libraries.iter().filter(|(path, _)| !search.is_loaded(path)).collect();
    let mut names = HashSet::new();
    for (path, library) in &new {
        names.extend(library.symbols(path)?.undefined.iter().map(Vec::as_slice));
    }
    for (path, library) in libraries {
        let symbols = library.symbols(path)?;
        names.retain(|name| !symbols.defined.contains(*name));
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
        if let Some(symbols) = known.as_ref().ok().and_then(|known| known.symbols(library)) {
            names.retain(|name| !symbols.defined.contains(*name));
        }
    }
    new.into_iter().find_map(|(path, _)| Some((*path, symbols::first_used(path, &names)?)))
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::LoadError;
    use crate::load::dynamic_deps::check;

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
            let error = check(file).unwrap_err();
            let expected = format!("{}: undefined symbol: {symbol}", user.display());
            assert!(matches!(&error, LoadError::NotLoadable(why) if *why == expected), "{error}");
        }
        for file in [found, of_user, weak, of_process, unused] {
            check(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}
