//! Finds the source files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the path of the root folder of the repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Returns the paths of the files that have one of these extensions. The paths are relative to the root folder and
/// sorted. Skips the copy of an earlier version of the plugin contract.
pub(super) fn files(extensions: &[&str]) -> Vec<String> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = top.filter(|path| path.is_file()).collect();
    let mut folders: Vec<_> =
        ["plugin-api", "host", "plugins", "examples", "tests"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_generated = path.ends_with("node_modules") || path.ends_with("target");
            match path.is_dir() {
                true if is_generated => {}
                true => folders.push(path),
                false => paths.push(path),
            }
        }
    }
    let mut files = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let has_extension =
            path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension));
        if has_extension && !name.starts_with("tests/fixtures/contract-1.0/plugin-api/") {
            files.push(name);
        }
    }
    assert!(!files.is_empty());
    files.sort();
    files
}

/// Returns the path and the text of every Rust file in the repository.
pub(super) fn all_sources() -> Vec<(String, String)> {
    files(&["rs"]).into_iter().map(|name| (name.clone(), fs::read_to_string(root().join(name)).unwrap())).collect()
}
