//! Searches for a library in the order of the dynamic loader: `DT_RPATH`, `LD_LIBRARY_PATH`, `DT_RUNPATH`, the loader's
//! cache, the system's folders.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlflow_deploy_plugin_api::file;

use super::cache::LoaderCache;
use super::library::Library;
use crate::discovery::search_path::environment;

/// The places to search for libraries. They are the same for every library, until this process loads another one.
#[derive(Debug)]
pub(crate) struct LibrarySearch {
    /// The folders in `LD_LIBRARY_PATH`. Empty if the process runs with raised privileges, because the loader then
    /// ignores the variable.
    library_path: Vec<PathBuf>,
    /// The libraries that this process has already loaded. The loader uses a loaded library regardless of its folder.
    loaded: Vec<PathBuf>,
    cache: LoaderCache,
    system: Vec<PathBuf>,
}

impl LibrarySearch {
    pub(crate) fn new() -> Self {
        let listed = environment("LD_LIBRARY_PATH").unwrap_or_default();
        let arch = std::env::consts::ARCH;
        let system = if cfg!(target_env = "musl") {
            ["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from).to_vec()
        } else {
            let multi_arch = [format!("/lib/{arch}-linux-gnu"), format!("/usr/lib/{arch}-linux-gnu")];
            let others = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(str::to_owned);
            multi_arch.into_iter().chain(others).map(PathBuf::from).collect()
        };
        Self { library_path: split(&listed), loaded: loaded(), cache: LoaderCache::system(), system }
    }

    /// Returns the path of the file that the loader would load for a name, with the contents of the file. Skips files
    /// that are missing or damaged, or for another processor than `machine`.
    pub(super) fn find(
        &self,
        name: &str,
        machine: u16,
        rpaths: &[PathBuf],
        runpath: &[PathBuf],
    ) -> Option<(PathBuf, Arc<Library>)> {
        let usable = |path: PathBuf| {
            let library = Library::read(&path).ok().filter(|library| library.object.machine == machine)?;
            Some((path, library))
        };
        if name.contains('/') {
            return usable(PathBuf::from(name));
        }
        let in_folders = |folders: &[PathBuf]| folders.iter().find_map(|folder| usable(folder.join(name)));
        let is_namesake = |path: &&PathBuf| path.file_name() == Some(OsStr::new(name));
        let already = || self.loaded.iter().find(is_namesake).and_then(|path| usable(path.clone()));
        already()
            .or_else(|| in_folders(rpaths))
            .or_else(|| in_folders(&self.library_path))
            .or_else(|| in_folders(runpath))
            .or_else(|| self.cache.paths(name).find_map(usable))
            .or_else(|| in_folders(&self.system))
    }

    /// Returns true if this process has loaded the library or its folder is in `LD_LIBRARY_PATH`.
    pub(super) fn is_of_user(&self, library: &Path) -> bool {
        let is_listed = library.parent().is_some_and(|folder| self.library_path.iter().any(|listed| listed == folder));
        is_listed || self.is_loaded(library)
    }

    /// Returns true if this process has loaded the library.
    pub(super) fn is_loaded(&self, library: &Path) -> bool {
        self.loaded.iter().any(|loaded| loaded == library)
    }

    /// Returns the paths of the files that this process has mapped into memory, which include its program and all
    /// loaded libraries.
    pub(super) fn loaded(&self) -> &[PathBuf] {
        &self.loaded
    }
}

/// Returns the folders in the value of `DT_RPATH` or `DT_RUNPATH`. Replaces tokens such as `$ORIGIN` with their values
/// for `file`.
pub(super) fn folders(list: &OsStr, file: &Path) -> Vec<PathBuf> {
    let origin = file.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
    let arch = std::env::consts::ARCH;
    // The value of `$LIB` differs between systems. Missing folders are skipped later.
    let libs = ["lib64".to_owned(), format!("lib/{arch}-linux-gnu"), "lib".to_owned()];
    let mut folders = Vec::new();
    for folder in split(list) {
        let has_lib =
            [&b"$LIB"[..], b"${LIB}"].iter().any(|token| position(folder.as_os_str().as_bytes(), token).is_some());
        for lib in &libs[..if has_lib { libs.len() } else { 1 }] {
            let values = [("ORIGIN", origin), ("LIB", lib.as_bytes()), ("PLATFORM", arch.as_bytes())];
            let mut bytes = folder.as_os_str().as_bytes().to_vec();
            for (name, value) in values {
                bytes = replaced(&bytes, format!("${{{name}}}").as_bytes(), value);
                bytes = replaced(&bytes, format!("${name}").as_bytes(), value);
            }
            folders.push(PathBuf::from(std::ffi::OsString::from_vec(bytes)));
        }
    }
    folders
}

/// Splits a list of folders. An empty entry stands for the current folder.
fn split(list: &OsStr) -> Vec<PathBuf> {
    if list.is_empty() {
        return Vec::new();
    }
    let folders = list.as_bytes().split(|byte| matches!(byte, b':' | b';'));
    let folder = |folder: &[u8]| PathBuf::from(OsStr::from_bytes(if folder.is_empty() { b"." } else { folder }));
    folders.map(folder).collect()
}

fn replaced(text: &[u8], token: &[u8], value: &[u8]) -> Vec<u8> {
    let (mut left, mut done) = (text, Vec::new());
    while let Some(at) = position(left, token) {
        done.extend([&left[..at], value].concat());
        left = &left[at + token.len()..];
    }
    done.extend(left);
    done
}

fn position(text: &[u8], token: &[u8]) -> Option<usize> {
    text.windows(token.len()).position(|window| window == token)
}

/// Returns the paths of the files that this process has mapped into memory.
fn loaded() -> Vec<PathBuf> {
    /// The maximum size of `/proc/self/maps` in bytes. The file is smaller in every process.
    const MAX_BYTES: u64 = 64 << 20;
    let maps = file::read(Path::new("/proc/self/maps"), MAX_BYTES).unwrap_or_default();
    let path = |line: &[u8]| {
        line.iter().position(|byte| *byte == b'/').map(|at| PathBuf::from(OsStr::from_bytes(&line[at..])))
    };
    let mut paths: Vec<_> = maps.split(|byte| *byte == b'\n').filter_map(path).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_as_the_loader_does() {
        let arch = std::env::consts::ARCH;
        let folders = |list: &str| folders(OsStr::new(list), Path::new("/opt/plugins/x.so"));
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(folders("/a:${ORIGIN}/../lib;$ORIGIN"), paths(&["/a", "/opt/plugins/../lib", "/opt/plugins"]));
        assert_eq!(folders("/b/$PLATFORM:"), paths(&[&format!("/b/{arch}"), "."]));
        assert_eq!(folders("/$LIB/x"), paths(&["/lib64/x", &format!("/lib/{arch}-linux-gnu/x"), "/lib/x"]));
        assert_eq!(folders(""), paths(&[]));
    }
}
