//! Checks `plugins add-python` with MLflow's own target `sagemaker` and with the deployment plugins in
//! `tests/peers/python_plugins`, through the bridge.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use mlflow_deploy_test_support::peers;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{Ran, Run, mlflow_deploy};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A Python environment with the fake plugins, and a folder for the manifests.
struct Environment(TempDir);

impl Environment {
    /// Returns an environment whose Python is that of the peers, with the fake plugins in its path.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (venv, fakes) = (folder.path().join("venv"), format!("{WORKSPACE}/tests/peers/python_plugins/fakes"));
        fs::create_dir_all(venv.join("bin")).unwrap();
        fs::create_dir_all(venv.join("lib/python3.11")).unwrap();
        fs::write(venv.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
        symlink(fs::canonicalize(&fakes).unwrap(), venv.join("lib/python3.11/site-packages")).unwrap();
        let python = peers::python_folder().join("python");
        let script = format!("#!/bin/sh\nPYTHONPATH='{fakes}' exec '{}' \"$@\"\n", python.display());
        fs::write(venv.join("bin/python3"), script).unwrap();
        fs::set_permissions(venv.join("bin/python3"), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        Self(folder)
    }

    fn plugins(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    /// Returns a run of the command that finds the added plugins.
    fn command(&self, arguments: &str) -> Run {
        let home = self.0.path();
        mlflow_deploy(arguments).plugin_dir(&self.plugins()).env("HOME", home).env("PATH", "/usr/bin:/bin")
    }

    /// Adds these plugins, and finds the bridge in the repository.
    fn add(&self, schemes: &str) -> Ran {
        let run =
            self.command(&format!("plugins add-python {schemes}")).plugin_dir(&Path::new(WORKSPACE).join("plugins"));
        run.arg("--python").arg(self.0.path().join("venv")).arg("--to").arg(self.plugins()).run()
    }
}

#[test]
fn added_plugins_of_an_environment_serve_every_verb() {
    let environment = Environment::new();
    let added = environment.add("faketarget memory");
    assert_eq!(added.code, 0, "{added:?}");
    let to = environment.plugins();
    for line in [
        "  faketarget: mlflow-fake-targets 1.2\n".to_owned(),
        format!("added faketarget\n  file: {}\n", to.join("faketarget.plugin.json").display()),
        format!(
            "added python: every plugin above as `python:NAME:…`\n  file: {}\n",
            to.join("python.plugin.json").display()
        ),
    ] {
        assert!(added.stdout.contains(&line), "{line}: {added:?}");
    }
    assert!(!to.join("rich.plugin.json").exists(), "{added:?}");
    let inputs = || environment.command("predict -t memory:/here --endpoint words --content-type text/plain -I -");
    let predicted = inputs().stdin("one two").run();
    assert_eq!(predicted.code, 0, "{predicted:?}");
    for (verb, code) in [
        ("create -t faketarget --name n -m m -f f", 0),
        ("update -t faketarget --name n -m m -f f", 0),
        ("list -t faketarget", 0),
        ("get -t faketarget --name n", 0),
        ("delete -t faketarget --name n", 0),
        ("delete -t faketarget --name n -C fail=yes", 1),
        ("help -t faketarget", 0),
        ("list -t python:faketarget:/anywhere", 0),
        ("list -t python:nowhere", 5),
    ] {
        let ran = environment.command(verb).run();
        assert_eq!(ran.code, code, "{verb}: {ran:?}");
        assert!(!ran.stderr.contains("Traceback"), "{verb}: {ran:?}");
    }
    let listed = environment.command("list -t faketarget --json").run();
    assert_eq!(listed.json(), json!([{"name": "first"}]), "{listed:?}");
}

#[test]
fn plugin_that_does_not_load_or_whose_scheme_is_taken_is_not_added() {
    let environment = Environment::new();
    let failed = environment.add("broken");
    assert!(failed.code == 2 && failed.stdout.contains("failed broken: "), "{failed:?}");
    assert!(failed.stdout.contains("No module named 'mlflow_fake_targets.not_there'"), "{failed:?}");
    let unknown = environment.add("farget");
    assert!(unknown.stderr.contains("has no deployment plugin `farget`: expected `abstract`, "), "{unknown:?}");
    let native = environment.plugins().join("native.plugin.json");
    let manifest = json!({
        "manifest": 1, "abi": 1, "name": "native", "version": "1", "schemes": ["bare"], "operations": [],
        "exec": ["/bin/true"],
    });
    fs::write(&native, manifest.to_string()).unwrap();
    let taken = environment.add("bare fake_class");
    assert_eq!(taken.code, 0, "{taken:?}");
    let expected = format!("not added bare: `{}` serves its scheme; use `python:bare:…`\n", native.display());
    assert!(taken.stdout.contains(&expected), "{taken:?}");
    assert!(
        taken.stdout.contains("not added fake_class: `fake_class` is not a valid scheme; use `python:fake_class:…`")
    );
}

#[test]
fn target_sagemaker_of_mlflow_is_found_and_doctor_reports_its_removal() {
    let environment = Environment::new();
    let venv = peers::python_folder().join("..");
    let run = environment.command("plugins add-python --json").plugin_dir(&Path::new(WORKSPACE).join("plugins"));
    let added = run.arg("--python").arg(&venv).arg("--to").arg(environment.plugins()).run();
    assert_eq!(added.code, 0, "{added:?}");
    let found = &added.json()["plugins"];
    assert_eq!(
        (&found[0]["name"], &found[0]["package"], &found[0]["state"]),
        (&json!("sagemaker"), &json!("mlflow"), &json!("added"))
    );
    let help = environment.command("help -t sagemaker").run();
    assert!(help.code == 0 && help.stdout.contains("execution_role_arn"), "{help:?}");
    let file = environment.plugins().join("sagemaker.plugin.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    manifest["files"].as_array_mut().unwrap().push(json!("/removed/package"));
    fs::write(&file, manifest.to_string()).unwrap();
    let doctor = environment.command("plugins doctor").run();
    assert!(
        doctor.code == 3 && doctor.stdout.contains("`/removed/package` cannot be read: No such file"),
        "{doctor:?}"
    );
}

#[test]
fn bridge_passes_its_own_tests() {
    let tests = Path::new(WORKSPACE).join("tests/peers/python_plugins");
    let python = peers::python_folder().join("python");
    let output =
        Command::new(python).args(["-B", "-m", "unittest", "test_bridge"]).current_dir(tests).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
