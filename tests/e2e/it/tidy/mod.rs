//! The rules of this repository that a program can check.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file below a folder of the repository, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn all_sources() -> Vec<(String, String)> {
    ["plugin-api", "host", "plugins", "examples", "tests"].iter().flat_map(|folder| sources(folder)).collect()
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs") || name.starts_with("tests/")
}

#[test]
fn files_are_short() {
    for (name, text) in all_sources().iter().filter(|(name, _)| !is_test(name)) {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        assert!(code.lines().count() <= 500, "{name} has more than 500 lines: give each idea a file");
    }
}

#[test]
fn files_open_with_what_they_are_for() {
    for (name, text) in all_sources() {
        let opens = text.starts_with("//!") || text.starts_with("#![doc = include_str!");
        assert!(opens, "{name} does not open with `//!`");
    }
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let rooms =
        ["plugin-api/src/ffi/", "host/src/load/library.rs", "tests/conformance/src/untrusted.rs", "tests/fixtures/"];
    for (name, text) in all_sources() {
        let is_room = rooms.iter().any(|room| name.starts_with(room));
        // Split, so that this very line is not found.
        let opens = text.contains(concat!("expect(", "unsafe_code"));
        assert!(is_room || !opens, "{name} is no room for unsafe code");
    }
}

#[test]
fn http_plugins_have_the_same_files() {
    for plugin in ["databricks", "gateway", "openai"] {
        let folder = root().join("plugins").join(plugin);
        for file in
            ["Cargo.toml", "README.md", "help.md", "manifest.json", "src/lib.rs", "src/config.rs", "src/client.rs"]
        {
            assert!(folder.join(file).exists(), "plugins/{plugin} lacks {file}");
        }
    }
}

#[test]
fn the_map_fits_on_its_page() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 150);
}
