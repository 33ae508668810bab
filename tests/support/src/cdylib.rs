//! Builds the shared libraries and programs of this workspace, with the profile of the running test, and returns their
//! paths.
//!
//! Cargo builds them on first use, once per process, and reports their paths. It builds the whole workspace, as
//! `cargo test --workspace` does. The features of a crate depend on the packages of a build, so a build of fewer
//! packages would compile crates again.

use std::collections::HashMap;
use std::env;
use std::env::consts::DLL_EXTENSION;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use mlflow_deploy_plugin_api::manifest::TARGET;
use serde_json::Value;

/// The paths of the files that cargo has built: of each library by `lib` and the package's name, of each program by
/// `bin` and the program's name.
static BUILT: LazyLock<HashMap<String, PathBuf>> = LazyLock::new(build);

/// Returns the path of the shared library of a package such as `mlflow-deploy-gateway`.
///
/// # Panics
/// Panics if the workspace does not build or has no such package.
pub fn path(package: &str) -> &'static Path {
    built(&format!("lib {package}"))
}

/// Returns the path of the built program `mlflow-deploy`.
///
/// # Panics
/// Panics if the workspace does not build.
pub fn command() -> &'static Path {
    program("mlflow-deploy")
}

/// Returns the path of a program of the workspace, such as `embed-host`.
///
/// # Panics
/// Panics if the workspace does not build or has no such program.
pub fn program(name: &str) -> &'static Path {
    built(&format!("bin {name}"))
}

/// Compiles the C plugin of `examples/c-plugin` with `cc`, once per process. Returns the path of the plugin's library.
///
/// # Panics
/// Panics if the plugin does not compile.
pub fn c_plugin() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let library = command().with_file_name("c_echo").with_extension(DLL_EXTENSION);
        replace(&library, |unfinished| compile_c_plugin(unfinished, None));
        library
    })
}

/// Compiles the C plugin of `examples/c-plugin` to the file `library`, together with the source file `addition` if it
/// is given.
///
/// # Panics
/// Panics if the plugin does not compile.
pub fn compile_c_plugin(library: &Path, addition: Option<&Path>) {
    let example = workspace().join("examples/c-plugin/echo.c");
    compile_c(library, &workspace().join("plugin-api"), &example, addition);
}

/// Builds the plugins of `tests/fixtures/contract-1.0` against version 1.0.0 of the plugin contract. Returns the paths
/// of two libraries: the plugin in Rust and the plugin in C.
///
/// # Panics
/// Panics if the plugins do not build.
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
        replace(&in_c, |unfinished| compile_c(unfinished, &folder.join("plugin-api"), &folder.join("stream.c"), None));
        [in_rust, in_c]
    })
}

/// Compiles the programs of `tests/fixtures/contract-1.1`, which pretend a later version of the plugin contract. Returns
/// the paths of the plugin's library and of the host.
///
/// # Panics
/// Panics if the programs do not compile.
pub fn contract_1_1() -> &'static [PathBuf; 2] {
    static BUILT: OnceLock<[PathBuf; 2]> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = workspace().join("tests/fixtures/contract-1.1");
        let plugin_api = workspace().join("plugin-api");
        let plugin = command().with_file_name("contract_later").with_extension(DLL_EXTENSION);
        replace(&plugin, |unfinished| compile_c(unfinished, &plugin_api, &folder.join("plugin.c"), None));
        let host = command().with_file_name("contract-later-host");
        replace(&host, |unfinished| {
            let mut compiler = c_compiler(&plugin_api);
            compiler.args(["-o".as_ref(), unfinished.as_os_str(), folder.join("host.c").as_os_str()]);
            compile(compiler.args(["-pthread", "-ldl"]));
        });
        [plugin, host]
    })
}

/// Creates a file under another name, then renames it. Another process may have loaded an earlier file of this name or may
/// compile it too.
fn replace(file: &Path, create: impl FnOnce(&Path)) {
    let unfinished = file.with_extension(std::process::id().to_string());
    create(&unfinished);
    std::fs::rename(&unfinished, file).expect("the folder is writable");
}

/// Compiles a plugin in C to the file `library`. `plugin_api` is the folder whose subfolder `include` has the header of
/// the plugin contract.
fn compile_c(library: &Path, plugin_api: &Path, source: &Path, addition: Option<&Path>) {
    let mut compiler = c_compiler(plugin_api);
    compiler.args(["-shared", "-fPIC"]).arg(joined("-o", library)).arg(source).args(addition);
    compile(&mut compiler);
}

/// Returns a call of the C compiler with the flags that all programs have.
fn c_compiler(plugin_api: &Path) -> Command {
    let mut compiler = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler
        .args(["-std=c99", "-Wall", "-Wpedantic", "-Werror", "-O2"])
        .arg(format!("-DTARGET=\"{TARGET}\""))
        .arg(joined("-I", &plugin_api.join("include")));
    compiler
}

fn compile(compiler: &mut Command) {
    let status = compiler.status().expect("a C compiler named `cc` is installed");
    assert!(status.success(), "failed to compile a program in C");
}

fn joined(flag: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(flag);
    joined.push(path);
    joined
}

fn built(name: &str) -> &'static Path {
    BUILT.get(name).unwrap_or_else(|| unreachable!("cargo did not build `{name}`, only {:?}", BUILT.keys()))
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
    // Cargo sets these variables for the package under test. They must not leak into the build of other packages.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"].iter().any(|prefix| text.starts_with(prefix))
        {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Runs a cargo command. Returns the paths of the libraries and programs that cargo reports as built, by name.
fn artifacts(cargo: &mut Command) -> HashMap<String, PathBuf> {
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "the workspace does not build");
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| artifact(&serde_json::from_slice(line).ok()?))
        .collect()
}

/// Returns the name and the path of a built file from a message of cargo. Returns `None` if the message does not report
/// a shared library or a program.
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

/// Returns the cargo profile and the target folder of the running test. Takes both from the path of the test program,
/// such as `target/debug/deps/NAME`.
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
