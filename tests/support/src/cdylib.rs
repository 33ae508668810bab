//! The libraries and the command of this workspace, built as the running test was, and where they are.
//!
//! Cargo builds them on first use, once per process, and says itself where it put them. It is asked for the whole
//! workspace, as `cargo test --workspace` is: what a crate is built with depends on who else is built, and so both
//! find everything fresh.

use std::collections::HashMap;
use std::env;
use std::env::consts::DLL_EXTENSION;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use mlflow_deploy_plugin_api::manifest::TARGET;
use serde_json::Value;

/// What cargo built: libraries by their package, programs by their name.
static BUILT: LazyLock<HashMap<String, PathBuf>> = LazyLock::new(build);

/// The shared library of a package, such as `mlflow-deploy-gateway`.
///
/// # Panics
/// Where the workspace does not build, or has no such package.
pub fn path(package: &str) -> &'static Path {
    built(&format!("lib {package}"))
}

/// The command `mlflow-deploy`.
///
/// # Panics
/// Where the workspace does not build.
pub fn command() -> &'static Path {
    program("mlflow-deploy")
}

/// A program of the workspace by its name, such as `embed-host`.
///
/// # Panics
/// Where the workspace does not build, or has no such program.
pub fn program(name: &str) -> &'static Path {
    built(&format!("bin {name}"))
}

/// The plugin in C of `examples/c-plugin`, compiled by `cc`.
///
/// # Panics
/// Where it does not compile.
pub fn c_plugin() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let library = command().with_file_name("c_echo").with_extension(DLL_EXTENSION);
        // Another test may compile it as well, or have it loaded: it is put in its place in one step.
        let unfinished = library.with_extension(std::process::id().to_string());
        compile_c_plugin(&unfinished, None);
        std::fs::rename(&unfinished, &library).expect("a folder that can be written to");
        library
    })
}

/// Compiles the plugin in C, with another source file where one is given.
///
/// # Panics
/// Where it does not compile.
pub fn compile_c_plugin(library: &Path, addition: Option<&Path>) {
    let example = workspace().join("examples/c-plugin/echo.c");
    compile_c(library, &workspace().join("plugin-api"), &example, addition);
}

/// The plugins of `tests/fixtures/contract-1.0`, built against version 1.0.0 of the contract: one in Rust, and one in C.
///
/// # Panics
/// Panics if they do not build.
pub fn contract_1_0() -> &'static [PathBuf; 2] {
    static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = workspace().join("tests/fixtures/contract-1.0");
        let target = workspace().join("target/contract-1.0");
        let mut cargo = cargo();
        cargo.args(["build", "--locked", "--message-format=json-render-diagnostics", "--target-dir"]).arg(&target);
        let built = artifacts(cargo.current_dir(&folder));
        let in_rust = built.get("lib contract-1-0-echo").expect("cargo builds the package").clone();
        let in_c = target.join("stream").with_extension(DLL_EXTENSION);
        let unfinished = in_c.with_extension(std::process::id().to_string());
        compile_c(&unfinished, &folder.join("plugin-api"), &folder.join("stream.c"), None);
        std::fs::rename(&unfinished, &in_c).expect("the target folder is writable");
        [in_rust, in_c]
    })
}

/// Compiles a plugin in C with the header of one version of `plugin-api`.
fn compile_c(library: &Path, plugin_api: &Path, source: &Path, addition: Option<&Path>) {
    let compiled = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=c99", "-Wall", "-Wpedantic", "-Werror", "-O2", "-shared", "-fPIC"])
        .arg(format!("-DTARGET=\"{TARGET}\""))
        .arg(joined("-I", &plugin_api.join("include")))
        .arg(joined("-o", library))
        .arg(source)
        .args(addition)
        .status()
        .expect("a C compiler called `cc`");
    assert!(compiled.success(), "failed to compile the plugin in C");
}

fn joined(flag: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(flag);
    joined.push(path);
    joined
}

fn built(what: &str) -> &'static Path {
    let found = BUILT.get(what);
    found.unwrap_or_else(|| unreachable!("`{what}` is not among what cargo built: {:?}", BUILT.keys()))
}

fn build() -> HashMap<String, PathBuf> {
    let mut cargo = cargo();
    cargo
        .args(["build", "--workspace", "--lib", "--bins", "--message-format=json-render-diagnostics"])
        .current_dir(workspace());
    if let Some((profile, target)) = profile_and_target() {
        cargo.arg("--profile").arg(profile).arg("--target-dir").arg(target);
    }
    artifacts(&mut cargo)
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo says of the package that is tested is not to be taken for its word on those that are built.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"].iter().any(|its| text.starts_with(its)) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Runs cargo, and takes what it built from its messages.
fn artifacts(cargo: &mut Command) -> HashMap<String, PathBuf> {
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "the workspace does not build");
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| artifact(&serde_json::from_slice(line).ok()?))
        .collect()
}

/// What was built and where it is, from one of cargo's messages.
fn artifact(message: &Value) -> Option<(String, PathBuf)> {
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    if let Some(program) = message["executable"].as_str() {
        return Some((format!("bin {}", message["target"]["name"].as_str()?), program.into()));
    }
    // `path+file:///…/examples/echo-plugin#mlflow-deploy-example-echo@0.1.0`
    let package = message["package_id"].as_str()?.rsplit_once('#')?.1.split('@').next()?;
    let mut files = message["filenames"].as_array()?.iter().filter_map(|file| Some(PathBuf::from(file.as_str()?)));
    let is_cdylib = message["target"]["crate_types"].as_array()?.iter().any(|kind| kind == "cdylib");
    let library =
        files.find(|file| is_cdylib && file.extension().is_some_and(|extension| extension == DLL_EXTENSION))?;
    Some((format!("lib {package}"), library))
}

/// The profile that the running test was built with, and the target folder: it runs in `target/debug/deps`.
fn profile_and_target() -> Option<(OsString, PathBuf)> {
    let test = env::current_exe().ok()?;
    let folder = test.ancestors().find(|folder| folder.ends_with("deps"))?.parent()?;
    let profile = match folder.file_name()? {
        name if name == "debug" => "dev".into(),
        name => name.to_owned(),
    };
    Some((profile, folder.parent()?.to_owned()))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
