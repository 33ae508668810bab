//! Checks the places in which an installed command searches for ONNX Runtime, and the error if it is in none of them.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use mlflow_deploy_test_support::{cdylib, onnxruntime, peers};
use tempfile::TempDir;

use super::{LOCAL, iris};
use crate::command::Ran;

/// An installation prefix with the command, and a plugin in another folder. Further folders may contain the ONNX
/// Runtime library.
struct Prefix(TempDir);

/// The places in search order. Each has its name in an error message, and its folder below the prefix.
const PLACES: [(&str, &str); 7] = [
    ("option", "option"),
    ("variable", "variable"),
    ("plugin", "plugins/here"),
    ("above the plugin", "plugins"),
    ("executable", "lib/mlflow-deploy"),
    ("virtualenv", "venv/lib/python3.11/site-packages/onnxruntime/capi"),
    ("system", "system"),
];

impl Prefix {
    fn new() -> Self {
        let prefix = Self(tempfile::tempdir().unwrap());
        for (_, folder) in PLACES {
            fs::create_dir_all(prefix.path(folder)).unwrap();
        }
        for (program, file) in [("mlflow-deploy", "bin"), ("mlflow-deploy-plugin-host", "libexec/mlflow-deploy")] {
            fs::create_dir_all(prefix.path(file)).unwrap();
            fs::copy(cdylib::program(program), prefix.path(file).join(program)).unwrap();
        }
        let plugin = cdylib::path(LOCAL);
        fs::copy(plugin, prefix.path("plugins/here").join(plugin.file_name().unwrap())).unwrap();
        prefix
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Returns the path of the ONNX Runtime library in a folder. In the folder `system`, the library has the only file
    /// name for which the dynamic loader searches.
    fn file(&self, folder: &str) -> PathBuf {
        self.path(folder).join(if folder == "system" { "libonnxruntime.so.1" } else { "libonnxruntime.so.1.31.1" })
    }

    fn put(&self, folder: &str) {
        symlink(library(), self.file(folder)).unwrap();
    }

    /// Deploys a model with the installed command. `settings` lists the configured places by name, and contains
    /// `isolated` if the plugin runs isolated.
    fn create(&self, settings: &[&str]) -> Ran {
        let mut command = Command::new(self.path("bin/mlflow-deploy"));
        command.args(["create", "-t", "local", "--name", "iris", "--json", "-m"]).arg(iris());
        if settings.contains(&"isolated") {
            command.arg("--isolate");
        }
        command.env_clear().env("MLFLOW_DEPLOY_LOCAL_STATE", self.path("state"));
        command.env("MLFLOW_DEPLOY_PLUGIN_PATH", self.path("plugins/here"));
        if settings.contains(&"option") {
            command.arg("--option").arg(format!("onnxruntime={}", self.path("option").display()));
        }
        if settings.contains(&"variable") {
            command.env("ORT_DYLIB_PATH", self.file("variable"));
        }
        if settings.contains(&"virtualenv") {
            command.env("VIRTUAL_ENV", self.path("venv"));
        }
        if settings.contains(&"system") {
            command.env("LD_LIBRARY_PATH", self.path("system"));
        }
        Ran::from(command.output().unwrap())
    }
}

fn library() -> PathBuf {
    onnxruntime::folder().join("libonnxruntime.so.1.31.1")
}

#[test]
fn library_is_found_in_each_place() {
    for (place, folder) in PLACES {
        let prefix = Prefix::new();
        prefix.put(folder);
        let ran = prefix.create(&[place]);
        assert_eq!(ran.code, 0, "{place}: {ran:?}");
    }
}

#[test]
fn isolated_plugin_finds_the_installed_library() {
    for folder in ["plugins", "lib/mlflow-deploy"] {
        let prefix = Prefix::new();
        prefix.put(folder);
        let ran = prefix.create(&["isolated"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn first_place_has_precedence() {
    let all: Vec<&str> = PLACES.iter().map(|(place, _)| *place).collect();
    for (first, (place, folder)) in PLACES.iter().enumerate().take(PLACES.len() - 1) {
        let prefix = Prefix::new();
        for (_, later) in &PLACES[first + 1..] {
            prefix.put(later);
        }
        fs::write(prefix.file(folder), "no library").unwrap();
        let ran = prefix.create(&all[first..]);
        let message = ran.error()["message"].as_str().unwrap().to_owned();
        let expected = format!(
            "failed to load ONNX Runtime's library `{}`",
            prefix.file(folder).canonicalize().unwrap().display()
        );
        assert!(message.starts_with(&expected), "{place}: {message}");
    }
}

#[test]
fn missing_library_error_has_a_command_that_installs_it() {
    let prefix = Prefix::new();
    let ran = prefix.create(&[]);
    let error = ran.error();
    assert_eq!((ran.code, error["code"].as_str()), (1, Some("INVALID_STATE")), "{ran:?}");
    let message = error["message"].as_str().unwrap();
    let real = |path: &str| prefix.path(path).canonicalize().unwrap().display().to_string();
    for place in [
        "`onnxruntime`",
        "`ORT_DYLIB_PATH`",
        &real("plugins/here"),
        &real("plugins"),
        &real("lib/mlflow-deploy"),
        "virtual environment",
        "libonnxruntime.so",
    ] {
        assert!(message.contains(place), "{place}: {message}");
    }
    let (_, command) = message.split_once("install it with: ").unwrap();
    let path = format!("{}:/usr/bin:/bin", peers::python_folder().display());
    let installed = Command::new("sh").arg("-c").arg(command).env("PATH", path).output().unwrap();
    assert!(installed.status.success(), "{command}: {installed:?}");
    let ran = prefix.create(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn invalid_library_is_named() {
    let prefix = Prefix::new();
    let path: &Path = &prefix.path("option/libother.so");
    for (option, said) in [
        ("/nowhere", "expected ONNX Runtime's library or its folder"),
        (path.to_str().unwrap(), "failed to load ONNX Runtime's library"),
    ] {
        fs::copy(cdylib::path(LOCAL), path).unwrap();
        let mut command = Command::new(prefix.path("bin/mlflow-deploy"));
        command.args(["create", "-t", "local", "--name", "iris", "--json", "-m"]).arg(iris());
        command.env_clear().env("MLFLOW_DEPLOY_LOCAL_STATE", prefix.path("state"));
        command.env("MLFLOW_DEPLOY_PLUGIN_PATH", prefix.path("plugins/here"));
        let ran = Ran::from(command.arg("--option").arg(format!("onnxruntime={option}")).output().unwrap());
        let error = ran.error();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said) && message.contains(option), "{message}");
    }
}

/// Compiles a shared library from the C code in `source`. Returns the path of the library.
fn compile(folder: &Path, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
    let (code, library) = (folder.join(name).with_extension("c"), folder.join(name));
    fs::write(&code, source).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).args(arguments).current_dir(folder);
    assert!(compile.status().unwrap().success());
    library
}

#[test]
fn message_of_the_system_s_loader_is_shown() {
    let prefix = Prefix::new();
    let folder = prefix.path("system");
    let gone = compile(&folder, "libgone.so.3", "int gone(void) { return 1; }", &["-Wl,-soname,libgone.so.3"]);
    let source = "int gone(void); int OrtGetApiBase(void) { return gone(); }";
    let library = compile(&folder, "libonnxruntime.so", source, &["-Wl,-soname,libonnxruntime.so", "./libgone.so.3"]);
    fs::remove_file(gone).unwrap();
    fs::copy(&library, prefix.file("variable")).unwrap();
    // The plugin finds the library by its path, or the dynamic loader finds it by its name.
    for (place, named) in [("variable", ", which `ORT_DYLIB_PATH` names"), ("system", "")] {
        let ran = prefix.create(&[place]);
        let message = ran.error()["message"].as_str().unwrap().to_owned();
        let said =
            format!("`{named}: libgone.so.3: cannot open shared object file: No such file or directory; install");
        assert!(message.contains(&said) && !message.contains("dlopen failed"), "{place}: {message}");
    }
    // Lazy binding would end the process at the first call of the missing function.
    let source = "int lost(void); void *OrtGetApiBase(void) { return lost() ? 0 : (void *)0; }";
    compile(&folder, "libonnxruntime.so", source, &["-Wl,-z,lazy"]);
    let message = prefix.create(&["system"]).error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("undefined symbol: lost; install a tested version with: "), "{message}");
    let no_library = prefix.path("option/libonnxruntime.so");
    fs::write(&no_library, "no library").unwrap();
    let message = prefix.create(&["option"]).error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("file too short") || message.contains("invalid ELF header"), "{message}");
}
