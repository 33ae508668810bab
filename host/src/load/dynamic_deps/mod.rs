//! Finds the libraries that a library needs, in the same way as the dynamic loader, before the library is loaded.
//!
//! Follows the rules of glibc's loader for files, symbol versions and the names of symbols. Supports ELF only: on other
//! systems every check succeeds.

mod cache;
mod library;
mod missing_symbol;
mod object;
mod search;
mod symbols;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlflow_deploy_plugin_api::ffi::TableError;
use mlflow_deploy_plugin_api::ffi::abi::ENTRY_SYMBOL;
use mlflow_deploy_plugin_api::trust;

use self::library::Library;
pub(crate) use self::search::LibrarySearch;
use crate::LoadError;

/// A library that a plugin needs, directly or indirectly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// The name of the library, such as `libc.so.6`.
    pub name: String,
    /// The library that needs this one; `None` if the plugin itself needs it.
    pub needed_by: Option<PathBuf>,
    /// The path of the file that the loader would load; `None` if it would find none.
    pub found: Option<PathBuf>,
    /// The symbol version that is needed and that the library lacks, such as `GLIBC_2.99`.
    pub lacks: Option<String>,
    /// The newest symbol version with the same prefix as `lacks` that the library provides, such as `GLIBC_2.36`.
    pub newest: Option<String>,
}

impl Dependency {
    /// Returns the load error if the library is missing or too old, or `None` if it is usable.
    pub fn load_error(&self) -> Option<LoadError> {
        match (&self.found, &self.lacks) {
            (None, _) => {
                Some(LoadError::MissingDependency { name: self.name.clone(), needed_by: self.needed_by.clone() })
            }
            (Some(library), Some(version)) => Some(LoadError::OldDependency {
                library: library.clone(),
                version: version.clone(),
                newest: self.newest.clone(),
            }),
            (Some(_), None) => None,
        }
    }
}

/// Returns the libraries that a plugin needs directly, then those that they need, and so on. A library appears once for
/// each library that needs it. Unless `is_trusted`, first fails as [`check_trust`] does.
///
/// # Errors
/// [`LoadError::Untrusted`] as above. [`LoadError::NotLoadable`] if all libraries are usable, but the plugin or one of
/// them uses a symbol that no library provides. [`LoadError::Table`] if the plugin does not export its entry function.
pub(crate) fn dependencies(
    plugin: &Path,
    is_trusted: bool,
    search: &LibrarySearch,
) -> Result<Vec<Dependency>, LoadError> {
    let Some(followed) = follow(plugin, search)? else { return Ok(Vec::new()) };
    if !is_trusted {
        followed.check_trust(search)?;
    }
    followed.check_symbols(search)?;
    followed.check_entry()?;
    Ok(followed.dependencies)
}

/// Fails if a library that a file needs is missing or too old, or if no library provides a symbol. The error names the
/// first such library or symbol.
pub(crate) fn check(file: &Path) -> Result<(), LoadError> {
    let search = LibrarySearch::new();
    let Some(followed) = follow(file, &search)? else { return Ok(()) };
    followed.check_symbols(&search)?;
    match followed.dependencies.iter().find_map(Dependency::load_error) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Fails if another user can change a library that the file needs. Skips libraries that this process has already loaded
/// and libraries in a folder of `LD_LIBRARY_PATH`, because the user chose both.
pub(crate) fn check_trust(file: &Path) -> Result<(), LoadError> {
    let search = LibrarySearch::new();
    match follow(file, &search) {
        Ok(Some(followed)) => followed.check_trust(&search),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// The libraries that a file needs.
struct Followed {
    dependencies: Vec<Dependency>,
    /// The file itself, and each library that was found.
    libraries: Vec<ResolvedLibrary>,
}

impl Followed {
    fn check_trust(&self, search: &LibrarySearch) -> Result<(), LoadError> {
        let found = self.dependencies.iter().filter_map(|dependency| dependency.found.as_deref());
        for library in found.filter(|library| !search.is_of_user(library)) {
            trust::check_code(library)?;
        }
        Ok(())
    }

    /// Fails if all libraries are usable, and one of them uses a symbol that none provides.
    fn check_symbols(&self, search: &LibrarySearch) -> Result<(), LoadError> {
        let is_complete = self.dependencies.iter().all(|dependency| dependency.load_error().is_none());
        let paths: Vec<_> = self.libraries.iter().map(|library| (library.path.as_path(), &*library.library)).collect();
        match is_complete.then(|| missing_symbol::find(search, &paths)).flatten() {
            Some((user, symbol)) => {
                // The loader's message for the same fault.
                Err(LoadError::NotLoadable(format!("{}: undefined symbol: {symbol}", user.display())))
            }
            None => Ok(()),
        }
    }

    /// Fails if the file does not export the function that returns a plugin's table.
    fn check_entry(&self) -> Result<(), LoadError> {
        let ResolvedLibrary { path, library, .. } = &self.libraries[0];
        match library.symbols(path) {
            Some(symbols) if !symbols.defined.contains(ENTRY_SYMBOL.to_bytes()) => {
                Err(LoadError::Table(TableError::NoEntry))
            }
            _ => Ok(()),
        }
    }
}

/// Finds the libraries that a file needs. Returns `None` if the system does not use ELF.
fn follow(file: &Path, search: &LibrarySearch) -> Result<Option<Followed>, LoadError> {
    /// The maximum number of needed libraries, which is more than any plugin has.
    const MAX_COUNT: usize = 2000;
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let unreadable = |error: std::io::Error| LoadError::Unreadable(error.to_string());
    let path = file.canonicalize().map_err(unreadable)?;
    let library = Arc::new(Library::read_anew(&path)?);
    let root = ResolvedLibrary { path, library, rpaths: Vec::new() };
    let mut resolver = Resolver { libraries: vec![root], by_name: HashMap::new() };
    let mut dependencies = Vec::new();
    let mut at = 0;
    while at < resolver.libraries.len() {
        let needed = resolver.libraries[at].library.object.needed.clone();
        for name in needed.into_iter().take(MAX_COUNT - dependencies.len()) {
            let library = resolver.resolve(search, at, &name);
            let user = &resolver.libraries[at];
            let lacks = library
                .and_then(|library| user.library.object.lacks(&name, &resolver.libraries[library].library.object));
            dependencies.push(Dependency {
                needed_by: (at != 0).then(|| user.path.clone()),
                found: library.map(|library| resolver.libraries[library].path.clone()),
                newest: lacks
                    .as_ref()
                    .and_then(|version| resolver.libraries[library?].library.object.newest_like(version)),
                lacks,
                name,
            });
        }
        at += 1;
    }
    Ok(Some(Followed { dependencies, libraries: resolver.libraries }))
}

/// A library that the loader would load, with its contents.
struct ResolvedLibrary {
    path: PathBuf,
    library: Arc<Library>,
    /// The folders in `DT_RPATH` of the libraries that need this one. The loader also searches them for the libraries
    /// that this one needs.
    rpaths: Vec<PathBuf>,
}

/// Finds libraries in the same way as the dynamic loader, and keeps those that it has found.
struct Resolver {
    libraries: Vec<ResolvedLibrary>,
    /// The index in `libraries` for each name, or `None` for a library that was not found. The loader does not load a
    /// second library with the same name.
    by_name: HashMap<String, Option<usize>>,
}

impl Resolver {
    /// Returns the index of the library `name`, which the library at the index `user` needs, or `None` if it is not
    /// found.
    fn resolve(&mut self, search: &LibrarySearch, user: usize, name: &str) -> Option<usize> {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let ResolvedLibrary { path, library, rpaths } = &self.libraries[user];
        let object = &library.object;
        let (rpaths, runpath) = match &object.runpath {
            Some(runpath) => (Vec::new(), search::folders(runpath, path)),
            None => {
                let own = object.rpath.as_deref().map(|rpath| search::folders(rpath, path)).unwrap_or_default();
                ([own, rpaths.clone()].concat(), Vec::new())
            }
        };
        let found = search.find(name, object.machine, &rpaths, &runpath);
        let at = found.map(|(path, library)| {
            self.libraries.push(ResolvedLibrary { path, library, rpaths });
            self.libraries.len() - 1
        });
        self.by_name.insert(name.to_owned(), at);
        at
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// Compiles an empty library with the given linker flags.
    fn library(folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
        let path = folder.join(name);
        let source = folder.join("empty.c");
        fs::write(&source, "int nothing;").unwrap();
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed", "-o"]).arg(&path).arg(&source);
        assert!(compile.arg("-L").arg(folder).args(flags).status().unwrap().success());
        path
    }

    #[test]
    fn every_dependency_of_the_running_program_is_found() {
        let program = std::env::current_exe().unwrap();
        let needed = follow(&program, &LibrarySearch::new()).unwrap().unwrap().dependencies;
        assert!(needed.iter().any(|dependency| dependency.name == "libc.so.6"), "{needed:?}");
        assert!(needed.iter().all(|dependency| dependency.load_error().is_none()), "{needed:?}");
    }

    #[test]
    fn a_library_is_found_in_the_rpath_and_runpath_of_its_user() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let leaf = library(&folder, "libleaf-of-a-test.so", &["-Wl,-soname,libleaf-of-a-test.so"]);
        let lost = library(&folder, "lost.so", &["-lleaf-of-a-test"]);
        let own = library(&folder, "own.so", &["-lleaf-of-a-test", "-Wl,-rpath,/nowhere:$ORIGIN"]);
        let middle_flags = ["-lleaf-of-a-test", "-Wl,-soname,libmiddle-of-a-test.so"];
        library(&folder, "libmiddle-of-a-test.so", &middle_flags);
        let inherited =
            ["-lmiddle-of-a-test", "-Wl,--disable-new-dtags,-rpath,${ORIGIN}", "-Wl,--allow-shlib-undefined"];
        let inherited = library(&folder, "inherited.so", &inherited);
        let alone = ["-lmiddle-of-a-test", "-Wl,--enable-new-dtags,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"];
        let alone = library(&folder, "alone.so", &alone);

        let error = check(&lost).unwrap_err().to_string();
        assert!(error.starts_with("needs the library `libleaf-of-a-test.so`, which is not installed"), "{error}");
        let found = follow(&own, &LibrarySearch::new()).unwrap().unwrap().dependencies.swap_remove(0).found;
        assert_eq!(found, Some(leaf));
        check(&inherited).unwrap();
        let indirect = check(&alone).unwrap_err();
        let by = folder.join("libmiddle-of-a-test.so");
        assert!(
            matches!(&indirect, LoadError::MissingDependency { name, needed_by } if name == "libleaf-of-a-test.so" && *needed_by == Some(by.clone())),
            "{indirect}"
        );
    }
}
