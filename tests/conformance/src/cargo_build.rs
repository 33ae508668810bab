//! Builds the shared library of a package with cargo, so that a test of the package does not check an outdated library.

use std::env;
use std::env::consts::DLL_EXTENSION;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mlflow_deploy_plugin_api::manifest::TARGET;
use serde_json::Value;

/// Builds the shared library of the package in the folder `package` with `cargo build`, and returns its path. `place`
/// are the cargo options for the profile and the target folder, and `arguments` are further options. If another cargo
/// process uses the same target folder, waits until it ends.
///
/// # Errors
/// Fails with a message if cargo fails, or if the package has no shared library.
pub(crate) fn build_library(package: &Path, arguments: &[&str], place: &[OsString]) -> Result<PathBuf, String> {
    let manifest = package.join("Cargo.toml");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--lib", "--message-format=json-render-diagnostics", "--manifest-path"]).arg(&manifest);
    cargo.args(place).args(arguments).stderr(Stdio::inherit());
    // Cargo sets these variables for the running test. If the build inherited them, cargo would rebuild the package.
    for (name, _) in env::vars_os() {
        let is_of_the_test = |prefix: &&str| name.to_string_lossy().starts_with(*prefix);
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"].iter().any(is_of_the_test) {
            cargo.env_remove(&name);
        }
    }
    let output = cargo.output().map_err(|error| format!("failed to run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("failed to build `{}`: cargo ended with {}", manifest.display(), output.status));
    }
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    messages.filter_map(|message| library(&message, &manifest)).next_back().ok_or_else(|| {
        let manifest = manifest.display();
        format!("`{manifest}` has no shared library: set `crate-type = [\"cdylib\"]` in `[lib]`")
    })
}

/// Returns the cargo options that select the profile and the target folder in which the running test was built.
pub(crate) fn place_of_this_test() -> Vec<OsString> {
    // The test runs in `target/debug/deps`, or in `target/TRIPLE/debug/deps`.
    let test = env::current_exe().unwrap_or_default();
    let folder = test.ancestors().find(|folder| folder.ends_with("deps")).and_then(Path::parent);
    let Some((folder, profile)) = folder.and_then(|folder| Some((folder.parent()?, folder.file_name()?))) else {
        return Vec::new();
    };
    let profile = if profile == "debug" { "dev".into() } else { profile.to_owned() };
    let (triple, target) = match (folder.file_name(), folder.parent()) {
        (Some(name), Some(parent)) if name == TARGET => (vec!["--target".into(), name.to_owned()], parent),
        _ => (Vec::new(), folder),
    };
    [vec!["--profile".into(), profile, "--target-dir".into(), target.into()], triple].concat()
}

/// Returns the path of the shared library that a JSON message from cargo reports. Returns `None` if the message is
/// about something else, or about another package than that of `manifest`.
fn library(message: &Value, manifest: &Path) -> Option<PathBuf> {
    let is_package =
        || Some(Path::new(message["manifest_path"].as_str()?).canonicalize().ok()? == manifest.canonicalize().ok()?);
    let is_cdylib = || Some(message["target"]["crate_types"].as_array()?.iter().any(|kind| kind == "cdylib"));
    if message["reason"] != "compiler-artifact" || !is_package()? || !is_cdylib()? {
        return None;
    }
    let mut files = message["filenames"].as_array()?.iter().filter_map(|file| Some(PathBuf::from(file.as_str()?)));
    files.find(|file| file.extension().is_some_and(|extension| extension == DLL_EXTENSION))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_library_is_built_from_the_current_source() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("my crate");
        fs::create_dir_all(package.join("src")).unwrap();
        let manifest = |kind: &str| {
            let text = format!(
                "[package]\nname = 'my-target'\nedition = '2024'\n[lib]\ncrate-type = ['{kind}']\n[workspace]\n"
            );
            fs::write(package.join("Cargo.toml"), text).unwrap();
        };
        let build = |text: &str| {
            let source = format!("#[unsafe(no_mangle)]\npub static TEXT: [u8; 16] = *b\"{text}\";\n");
            fs::write(package.join("src/lib.rs"), source).unwrap();
            let place = ["--target-dir".into(), folder.path().join("target").into()];
            build_library(&package, &["--offline"], &place)
        };
        manifest("cdylib");
        for text in ["the first source", "the other source"] {
            let library = fs::read(build(text).unwrap()).unwrap();
            assert!(library.windows(16).any(|bytes| bytes == text.as_bytes()), "{text}");
        }
        let error = build("too short").unwrap_err();
        assert!(error.contains("cargo ended with exit status: 101"), "{error}");
        manifest("rlib");
        let error = build("the third source").unwrap_err();
        assert!(error.contains("has no shared library: set `crate-type"), "{error}");
    }
}
