//! Which other libraries a library needs, and whether the system's loader would find them: told before it is loaded.
//!
//! Follows the rules of glibc's loader as far as files and symbol versions go. It does not look for single symbols, and
//! knows ELF only: elsewhere it finds no fault.

mod cache;
mod object;
mod search;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::trust;

use self::object::Object;
use self::search::Search;
use crate::LoadError;

/// Another library that a plugin needs, itself or by way of a third.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// The name that it is asked for by, such as `libc.so.6`.
    pub name: String,
    /// The library that asks for it; `None` where that is the plugin itself.
    pub needed_by: Option<PathBuf>,
    /// Where the loader would find it.
    pub found: Option<PathBuf>,
    /// A version of its symbols that is asked for and that it does not have, such as `GLIBC_2.99`.
    pub lacks: Option<String>,
    /// The newest version of that kind that it has.
    pub newest: Option<String>,
}

impl Dependency {
    /// What keeps the plugin from being loaded, where something does.
    pub fn refusal(&self) -> Option<LoadError> {
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

/// Every library that a file needs, nearest first, each once for each that asks for it.
pub(crate) fn dependencies(file: &Path) -> Result<Vec<Dependency>, LoadError> {
    follow(file).map(|(found, _)| found)
}

/// Refuses a file that needs a library that another user can change. A library that this process has loaded already, or
/// that lies where `LD_LIBRARY_PATH` leads, is the user's choice for every program.
pub(crate) fn check_trust(file: &Path) -> Result<(), LoadError> {
    let Ok((dependencies, Some(search))) = follow(file) else { return Ok(()) };
    let found = dependencies.iter().filter_map(|dependency| dependency.found.as_deref());
    for library in found.filter(|library| !search.is_of_user(library)) {
        trust::check_code(library)?;
    }
    Ok(())
}

fn follow(file: &Path) -> Result<(Vec<Dependency>, Option<Search>), LoadError> {
    /// More than any plugin needs; a file may name as many as it likes.
    const MAX_COUNT: usize = 2000;
    if !cfg!(target_os = "linux") {
        return Ok((Vec::new(), None));
    }
    let unreadable = |error: std::io::Error| LoadError::Unreadable(error.to_string());
    let path = file.canonicalize().map_err(unreadable)?;
    let object = Object::read(&path).map_err(|why| LoadError::NotALibrary(why.to_owned()))?;
    let search = Search::new(object.machine);
    let mut walk = Walk { objects: vec![Loaded { path, object, rpaths: Vec::new() }], by_name: HashMap::new() };
    let mut found = Vec::new();
    let mut at = 0;
    while at < walk.objects.len() {
        let needed = walk.objects[at].object.needed.clone();
        for name in needed.into_iter().take(MAX_COUNT - found.len()) {
            let library = walk.resolve(&search, at, &name);
            let asking = &walk.objects[at];
            let lack = library.and_then(|library| asking.object.lacks(&name, &walk.objects[library].object));
            found.push(Dependency {
                needed_by: (at != 0).then(|| asking.path.clone()),
                found: library.map(|library| walk.objects[library].path.clone()),
                newest: lack.as_ref().and_then(|lack| walk.objects[library?].object.newest_like(lack)),
                lacks: lack,
                name,
            });
        }
        at += 1;
    }
    Ok((found, Some(search)))
}

/// The first thing that keeps the system's loader from loading a file.
pub(crate) fn check(file: &Path) -> Result<(), LoadError> {
    match dependencies(file)?.iter().find_map(Dependency::refusal) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

/// A library as the loader would have it.
struct Loaded {
    path: PathBuf,
    object: Object,
    /// The folders of the `DT_RPATH`s that hold for what it needs: its own, and those of who asked for it.
    rpaths: Vec<PathBuf>,
}

struct Walk {
    objects: Vec<Loaded>,
    /// Where a name was found, once for all: the loader takes no second library of one name.
    by_name: HashMap<String, Option<usize>>,
}

impl Walk {
    fn resolve(&mut self, search: &Search, asking: usize, name: &str) -> Option<usize> {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let Loaded { path, object, rpaths } = &self.objects[asking];
        let (rpaths, runpath) = match &object.runpath {
            Some(runpath) => (Vec::new(), search::folders(runpath, path)),
            None => {
                let own = object.rpath.as_deref().map(|rpath| search::folders(rpath, path)).unwrap_or_default();
                ([own, rpaths.clone()].concat(), Vec::new())
            }
        };
        let found = search.find(name, &rpaths, &runpath);
        let at = found.map(|(path, object)| {
            self.objects.push(Loaded { path, object, rpaths });
            self.objects.len() - 1
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

    /// Compiles an empty library that needs others.
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
    fn what_the_running_program_needs_is_all_there() {
        let needed = dependencies(&std::env::current_exe().unwrap()).unwrap();
        assert!(needed.iter().any(|dependency| dependency.name == "libc.so.6"), "{needed:?}");
        assert!(needed.iter().all(|dependency| dependency.refusal().is_none()), "{needed:?}");
    }

    #[test]
    fn a_library_is_found_by_where_its_user_says_that_it_lies() {
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

        let refusal = check(&lost).unwrap_err().to_string();
        assert!(refusal.starts_with("needs the library `libleaf-of-a-test.so`, which is not installed"), "{refusal}");
        assert_eq!(dependencies(&own).unwrap()[0].found.as_deref(), Some(leaf.as_path()));
        check(&inherited).unwrap();
        let of_a_third = check(&alone).unwrap_err();
        let by = folder.join("libmiddle-of-a-test.so");
        assert!(
            matches!(&of_a_third, LoadError::MissingDependency { name, needed_by } if name == "libleaf-of-a-test.so" && *needed_by == Some(by.clone())),
            "{of_a_third}"
        );
    }
}
