//! Checks that the ownership rules for plugins also apply to the plugin host program, dependencies of plugins, the
//! configuration and the lock file.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use mlflow_deploy_test_support::cdylib;

use crate::command::{Ran, mlflow_deploy};

const ECHO: &str = "mlflow-deploy-example-echo";

fn make_world_writable(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    fs::set_permissions(path, Permissions::from_mode(mode | 0o002)).unwrap();
}

#[track_caller]
fn assert_refused(ran: &Ran, code: i32, path: &Path) {
    let fix = format!("not trusted: every user can change it: `{}` has mode ", path.display());
    let shell = format!("`chmod o-w {}`", path.display());
    assert!(ran.code == code && ran.stderr.contains(&fix) && ran.stderr.contains(&shell), "{ran:?}");
}

#[test]
fn world_writable_plugin_host_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("host");
    fs::copy(cdylib::program("mlflow-deploy-plugin-host"), &program).unwrap();
    let run = |more: &str| {
        let run = mlflow_deploy(&format!("list-endpoints -t echo {more}")).plugin(ECHO);
        run.env("XDG_STATE_HOME", folder.path().join("state")).env("MLFLOW_DEPLOY_PLUGIN_HOST", &program).run()
    };
    make_world_writable(&program);
    assert_refused(&run("--isolate"), 3, &program);
    // The preflight fails, and the command must not load the plugin afterwards.
    assert_refused(&run(""), 3, &program);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    assert_eq!((run("--isolate").code, run("").code), (0, 0));
}

#[test]
fn world_writable_configuration_or_lock_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (config, lock) = (folder.path().join("mlflow-deploy/config.toml"), folder.path().join("lock"));
    fs::create_dir(folder.path().join("mlflow-deploy")).unwrap();
    fs::write(&config, "try-first-loads = false\n").unwrap();
    let run = |verb: &str| {
        let run = mlflow_deploy(verb).plugin(ECHO).env("XDG_CONFIG_HOME", folder.path());
        run.arg("--lock-file").arg(&lock).run()
    };
    assert_eq!((run("plugins lock").code, run("list-endpoints -t echo").code), (0, 0));
    make_world_writable(&lock);
    assert_refused(&run("list-endpoints -t echo"), 2, &lock);
    make_world_writable(&config);
    assert_refused(&run("list-endpoints -t echo"), 2, &config);
    make_world_writable(folder.path());
    assert_refused(&run("plugins list"), 2, folder.path());
}

/// The dynamic loader would find the dependency through the plugin's `RUNPATH`.
#[test]
#[cfg(target_os = "linux")]
fn world_writable_dependency_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let (lib, plugins) = (folder.join("lib"), folder.join("plugins"));
    fs::create_dir(&lib).unwrap();
    fs::create_dir(&plugins).unwrap();
    fs::write(folder.join("needed.c"), "int needed_by_a_test(void) { return 1; }").unwrap();
    fs::write(
        folder.join("needing.c"),
        "extern int needed_by_a_test(void);\nint needs_another(void) { return needed_by_a_test(); }",
    )
    .unwrap();
    let needed = lib.join("libneeded-by-a-test.so");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).arg(&needed).arg(folder.join("needed.c"));
    assert!(compile.status().unwrap().success());
    let plugin = plugins.join("plugin.so");
    linked(&plugin, &folder.join("needing.c"), &lib);
    let run = |verb: &str| mlflow_deploy(verb).env("XDG_STATE_HOME", folder.join("state")).plugin_dir(&plugins).run();
    assert_eq!(run("list-endpoints -t c-echo").code, 0);
    make_world_writable(&needed);
    assert_refused(&run("list-endpoints -t c-echo"), 3, &needed);
    let diagnosis = run("plugins doctor");
    assert!(diagnosis.code == 3 && diagnosis.stdout.contains(&format!("`chmod o-w {}`", needed.display())));
    let trusted = mlflow_deploy("list-endpoints -t c-echo --trusted-plugin").arg(&plugin);
    assert_eq!(trusted.env("XDG_STATE_HOME", folder.join("state")).run().code, 0);
}

/// Compiles the C plugin to the file `plugin`, together with the source file `addition`. Links it to the library
/// `needed-by-a-test` in `folder`.
#[cfg(target_os = "linux")]
fn linked(plugin: &Path, addition: &Path, folder: &Path) {
    let arguments = folder.join("arguments");
    let (addition, folder) = (addition.display(), folder.display());
    fs::write(&arguments, format!("{addition} -L{folder} -lneeded-by-a-test -Wl,-rpath,$ORIGIN/../lib")).unwrap();
    // The compiler reads further arguments from a file.
    let from_file = format!("@{}", arguments.display());
    cdylib::compile_c_plugin(plugin, Some(Path::new(&from_file)));
}

#[test]
fn world_writable_onnx_runtime_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    // The dependency may be any library, because the command rejects it before it is loaded.
    fs::copy(cdylib::c_plugin(), &library).unwrap();
    make_world_writable(&library);
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/iris/model");
    let run = || {
        let run = mlflow_deploy("create -t local --name a -m").arg(model).plugin("mlflow-deploy-local");
        let run = run.env("MLFLOW_DEPLOY_LOCAL_STATE", folder.path().join("local"));
        run.arg("--option").arg(format!("onnxruntime={}", library.display())).run()
    };
    assert_refused(&run(), 1, &library);
    fs::set_permissions(&library, Permissions::from_mode(0o755)).unwrap();
    assert!(!run().stderr.contains("not trusted"));
}

#[test]
fn trusted_owner_option_accepts_an_owner() {
    const OTHER: u32 = 54321;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can change the owner of a file");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::copy(cdylib::path(ECHO), folder.path().join("echo.so")).unwrap();
    chown(folder.path(), Some(OTHER), None).unwrap();
    chown(folder.path().join("echo.so"), Some(OTHER), None).unwrap();
    for (owners, code) in [("", 3), ("54320, 5432", 3), ("1, 54321", 0)] {
        let run = mlflow_deploy("list-endpoints -t echo").plugin_dir(folder.path());
        let ran = run.env("MLFLOW_DEPLOY_TRUSTED_OWNERS", owners).run();
        assert_eq!(ran.code, code, "`{owners}`: {ran:?}");
        assert!(code == 0 || ran.stderr.contains(&format!("`MLFLOW_DEPLOY_TRUSTED_OWNERS={OTHER}`")), "{ran:?}");
    }
}
