//! Checks that the source files of this repository follow its rules.

mod imports;
mod language;
mod sources;

use std::fs;

use imports::Crate;
use sources::{all_sources, files, root};

#[test]
fn files_are_short() {
    for (name, text) in all_sources() {
        assert!(text.lines().count() <= 500, "{name} has more than 500 lines: split it");
    }
}

#[test]
fn files_open_with_a_module_comment() {
    for (name, text) in all_sources() {
        let has_comment = text.starts_with("//!") || text.starts_with("#![doc = include_str!");
        assert!(has_comment, "{name} does not open with `//!`");
    }
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let roots = ["/src/lib.rs", "/src/main.rs", "/main.rs"];
    let is_root = |name: &str| roots.iter().any(|root| name.ends_with(root));
    let mut circles = Vec::new();
    for (name, _) in all_sources().iter().filter(|(name, _)| is_root(name)) {
        circles.extend(Crate::read(&root().join(name)).circles(&root()));
    }
    let shown: Vec<_> = circles.iter().map(|circle| circle.join(" ")).collect();
    assert!(circles.is_empty(), "{} circles of imports:\n{}", circles.len(), shown.join("\n"));
}

/// Returns true if the source has an attribute that permits unsafe code: `allow`, `expect` or `warn` of the lint
/// `unsafe_code`.
fn permits_unsafe_code(source: &str) -> bool {
    let attributes = source.split('#').filter_map(|rest| rest.strip_prefix('!').unwrap_or(rest).strip_prefix('['));
    attributes.filter_map(|rest| rest.split_once("unsafe_code")).any(|(before, _)| {
        !before.contains(']') && ["allow", "expect", "warn"].iter().any(|level| before.contains(level))
    })
}

#[test]
fn unsafe_code_is_permitted_only_in_a_few_files() {
    let permitted =
        ["plugin-api/src/ffi/", "host/src/load/library.rs", "tests/conformance/src/untrusted.rs", "tests/fixtures/"];
    for (name, text) in all_sources() {
        let is_permitted = permitted.iter().any(|prefix| name.starts_with(prefix));
        assert!(is_permitted || !permits_unsafe_code(&text), "{name} may not permit unsafe code");
    }
    let is_checked = |name: &&String| name.ends_with("/Cargo.toml") && !name.starts_with("tests/fixtures/");
    for name in files(&["toml"]).iter().filter(is_checked) {
        let text = fs::read_to_string(root().join(name)).unwrap();
        assert!(!text.contains("unsafe_code"), "{name} may not set the level of the lint `unsafe_code`");
    }
}

#[test]
fn attributes_that_permit_unsafe_code_are_found() {
    for level in ["allow", "expect", "warn"] {
        assert!(permits_unsafe_code(&format!("//! A file.\n#![{level}(unsafe_code)]\n")));
        assert!(permits_unsafe_code(&format!("#[{level}(\n    dead_code,\n    unsafe_code,\n)]\nfn f() {{}}\n")));
        assert!(permits_unsafe_code(&format!("#[cfg_attr(test, {level}(unsafe_code))]\nfn f() {{}}\n")));
        assert!(!permits_unsafe_code(&format!("#[{level}(dead_code)]\n#![forbid(unsafe_code)]\n")));
    }
    assert!(!permits_unsafe_code("#![deny(unsafe_code)]\n"));
}

#[test]
fn http_plugins_have_the_same_files() {
    let shared = [
        "Cargo.toml",
        "README.md",
        "help.md",
        "manifest.json",
        "src/client.rs",
        "src/config.rs",
        "src/lib.rs",
        "src/record.rs",
        "src/tests/boundary.rs",
        "src/tests/credentials.rs",
        "src/tests/mod.rs",
        "src/tests/predictions.rs",
        "src/tests/settings.rs",
    ];
    for plugin in ["databricks", "gateway", "openai", "ray", "sagemaker", "v2"] {
        let folder = root().join("plugins").join(plugin);
        for file in shared {
            assert!(folder.join(file).exists(), "plugins/{plugin} lacks {file}");
        }
    }
}

#[test]
fn the_architecture_document_fits_on_a_page() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() <= 150);
}

#[test]
fn the_architecture_picture_names_existing_files() {
    let picture = fs::read_to_string(root().join("ARCHITECTURE.dot")).unwrap();
    let labels = picture.lines().filter(|line| line.contains("[label=")).map(|line| line.replace("\\n", "\""));
    let names: Vec<_> = labels.flat_map(|line| line.split('"').map(str::to_owned).collect::<Vec<_>>()).collect();
    let paths: Vec<_> =
        names.iter().flat_map(|name| name.split_whitespace()).filter(|word| word.contains('/')).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "ARCHITECTURE.dot names `{path}`, which does not exist");
    }
}
