//! Where the system's loader looks for a library, in its order: `DT_RPATH`, `LD_LIBRARY_PATH`, `DT_RUNPATH`, its cache,
//! the system's folders.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::file;

use super::cache::Cache;
use super::object::Object;
use crate::discovery::search_path::environment;

/// The places that are the same for all libraries.
pub(super) struct Search {
    machine: u16,
    /// `LD_LIBRARY_PATH`, which the loader ignores in a process with raised privileges.
    library_path: Vec<PathBuf>,
    /// What this process has loaded already: the loader takes those whatever their folder.
    loaded: Vec<PathBuf>,
    cache: Cache,
    system: Vec<PathBuf>,
}

impl Search {
    pub(super) fn new(machine: u16) -> Self {
        let listed = environment("LD_LIBRARY_PATH").unwrap_or_default();
        let arch = std::env::consts::ARCH;
        let system = if cfg!(target_env = "musl") {
            ["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from).to_vec()
        } else {
            let multi_arch = [format!("/lib/{arch}-linux-gnu"), format!("/usr/lib/{arch}-linux-gnu")];
            let others = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(str::to_owned);
            multi_arch.into_iter().chain(others).map(PathBuf::from).collect()
        };
        Self { machine, library_path: split(&listed), loaded: loaded(), cache: Cache::of_the_system(), system }
    }

    /// The file that the loader would take for a name, and what it says.
    pub(super) fn find(&self, name: &str, rpaths: &[PathBuf], runpath: &[PathBuf]) -> Option<(PathBuf, Object)> {
        if name.contains('/') {
            return self.usable(PathBuf::from(name));
        }
        let in_folders = |folders: &[PathBuf]| folders.iter().find_map(|folder| self.usable(folder.join(name)));
        let is_namesake = |path: &&PathBuf| path.file_name() == Some(OsStr::new(name));
        let already = || self.loaded.iter().find(is_namesake).and_then(|path| self.usable(path.clone()));
        already()
            .or_else(|| in_folders(rpaths))
            .or_else(|| in_folders(&self.library_path))
            .or_else(|| in_folders(runpath))
            .or_else(|| self.cache.paths(name).find_map(|path| self.usable(path)))
            .or_else(|| in_folders(&self.system))
    }

    /// Whether this process has the library, or `LD_LIBRARY_PATH` leads to it.
    pub(super) fn is_of_user(&self, library: &Path) -> bool {
        let is_listed = library.parent().is_some_and(|folder| self.library_path.iter().any(|listed| listed == folder));
        is_listed || self.loaded.iter().any(|loaded| loaded == library)
    }

    /// A library for another processor is passed over.
    fn usable(&self, path: PathBuf) -> Option<(PathBuf, Object)> {
        let object = Object::read(&path).ok().filter(|object| object.machine == self.machine)?;
        Some((path, object))
    }
}

/// The folders of a `DT_RPATH` or `DT_RUNPATH`, as the file that has it means them.
pub(super) fn folders(list: &OsStr, file: &Path) -> Vec<PathBuf> {
    let origin = file.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
    let arch = std::env::consts::ARCH;
    // Which of them it is differs between systems; a folder that is not there is passed over.
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

/// A list of folders; an empty one is the current folder.
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

/// The files that this process has in its memory, as the kernel lists them.
fn loaded() -> Vec<PathBuf> {
    /// More than a process has mapped.
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
    fn tokens_mean_what_they_mean_to_the_loader() {
        let arch = std::env::consts::ARCH;
        let folders = |list: &str| folders(OsStr::new(list), Path::new("/opt/plugins/x.so"));
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(folders("/a:${ORIGIN}/../lib;$ORIGIN"), paths(&["/a", "/opt/plugins/../lib", "/opt/plugins"]));
        assert_eq!(folders("/b/$PLATFORM:"), paths(&[&format!("/b/{arch}"), "."]));
        assert_eq!(folders("/$LIB/x"), paths(&["/lib64/x", &format!("/lib/{arch}-linux-gnu/x"), "/lib/x"]));
        assert_eq!(folders(""), paths(&[]));
    }
}
