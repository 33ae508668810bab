//! Checks the start of the Python server: the choice of the interpreter, failures, and isolation from the files of a
//! model.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use super::super::{Machine, copy_of, sample};
use super::fixture::{ask, moody, python_sample, servers, until};
use crate::command::Run;

#[test]
fn failure_to_load_a_model_is_reported_with_the_log() {
    let (machine, model) = (Machine::new(), moody());
    fs::write(model.path().join("requirements.txt"), "a-package-that-does-not-exist\n").unwrap();
    let create = |load: &str| {
        let create = ask(&machine, "create --name moody -m").arg(model.path());
        create.env("MOODY_LOAD", load).env("MOODY_API_KEY", "a-secret-of-some-length")
    };
    let failed = create("import").arg("--json").run();
    let error = failed.error();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "the model's Python server ended with status 1 during its start: ModuleNotFoundError: No module named \
             'a_package_that_does_not_exist'; install the missing modules with: "
        ),
        "{message}"
    );
    assert!(message.ends_with("/python -m pip install 'a-package-that-does-not-exist'"), "{message}");
    let log = error["causes"][0].as_str().unwrap();
    assert!(log.starts_with("its log ends with:\n") && log.contains("import a_package_that_does_not_exist"), "{log}");

    let failed = create("raise").run();
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stderr.contains("during its start: ValueError: the key is <redacted>"), "{failed:?}");
    assert!(failed.stderr.contains("Traceback") && !failed.stderr.contains("a-secret"), "{failed:?}");

    let failed = create("kill").run();
    assert!(failed.stderr.contains("was killed by signal 9 during its start: "), "{failed:?}");

    let failed = create("hang").arg("-C").arg("start_timeout=1").run();
    assert!(failed.stderr.contains("did not start within 1 s (the config key `start_timeout`)"), "{failed:?}");
    assert_eq!((machine.copies(), machine.names().len()), (0, 0));
    until("nothing is left", || servers(&machine).is_empty().then_some(()));
}

#[test]
fn missing_python_error_lists_the_searched_places() {
    let machine = Machine::new();
    let bin = machine.0.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let create = || machine.ask("create --name iris --json -m").arg(python_sample("sklearn_iris")).env("PATH", &bin);
    let refusal = |run: Run| {
        let error = run.run().error();
        (error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    };
    let (code, message) = refusal(create());
    assert_eq!(code, "INVALID_STATE");
    for place in
        ["`python`", "`MLFLOW_DEPLOY_LOCAL_PYTHON`", "virtual environment's (none)", "`python3` of `PATH` (none)"]
    {
        assert!(message.contains(place), "{place}: {message}");
    }
    assert!(message.ends_with("install MLflow with: python3 -m pip install mlflow==3.17.2"), "{message}");

    // The virtual environment does not contain MLflow.
    let bare = machine.0.path().join("bare");
    let made = Command::new("python3.11").args(["-I", "-m", "venv", "--without-pip"]).arg(&bare).status().unwrap();
    assert!(made.success());
    let python = bare.join("bin/python");
    symlink(&python, bin.join("python3")).unwrap();
    let (_, message) = refusal(create().env("VIRTUAL_ENV", &bare));
    for found in [
        format!("virtual environment's (`{}`: mlflow is not installed)", python.display()),
        format!("(`{}`: mlflow is not installed)", bin.join("python3").display()),
        format!("install MLflow with: {} -m pip install mlflow==3.17.2", python.display()),
    ] {
        assert!(message.contains(&found), "{found}: {message}");
    }
    let (code, message) = refusal(create().arg("-C").arg(format!("python={}", python.display())));
    assert_eq!(code, "INVALID_PARAMETER_VALUE");
    assert!(
        message.starts_with(&format!("the config key `python` is `{}`: mlflow is not installed", python.display()))
    );
    assert_eq!(machine.copies(), 0);
}

/// Makes a run use a script as its Python interpreter. The script only creates a file. Returns the changed run and the
/// path of that file.
fn marked(machine: &Machine, run: Run) -> (Run, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let (python, mark) = (machine.0.path().join("python"), machine.0.path().join("mark"));
    fs::write(&python, format!("#!/bin/sh\n: > '{}'\n", mark.display())).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let run = run.env("MLFLOW_DEPLOY_LOCAL_PYTHON", &python).env("VIRTUAL_ENV", machine.0.path());
    (run.env("PATH", machine.0.path()), mark)
}

#[test]
fn model_with_the_flavor_onnx_runs_python_only_on_request() {
    let machine = Machine::new();
    let text = fs::read_to_string(sample("times_2").join("MLmodel")).unwrap();
    assert!(text.contains("data: model.onnx") && text.contains("python_function:"), "{text}");
    let changed_mlmodel = |from: &str, to: &str| {
        let copy = copy_of(&sample("times_2"));
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        fs::write(copy.path().join("MLmodel"), changed).unwrap();
        copy
    };
    let damaged = copy_of(&sample("times_2"));
    fs::write(damaged.path().join("model.onnx"), "no model").unwrap();
    let missing = copy_of(&sample("times_2"));
    fs::remove_file(missing.path().join("model.onnx")).unwrap();
    for model in [
        damaged,
        missing,
        changed_mlmodel("data: model.onnx", "data: 5"),
        changed_mlmodel("data: model.onnx", "data: ../model.onnx"),
        changed_mlmodel("flavors:", "flavors:\n  onnx: null"),
    ] {
        let (run, mark) = marked(&machine, machine.ask("create --name m --json -m").arg(model.path()));
        let ran = run.run();
        assert_eq!(ran.error()["code"], "INVALID_PARAMETER_VALUE", "{ran:?}");
        assert!(!mark.exists(), "{ran:?}");
    }
    let (run, mark) = marked(&machine, machine.ask("create --name m -m").arg(sample("times_2")));
    assert_eq!(run.run().code, 0);
    assert!(!mark.exists());
    // The config requests Python.
    let (run, mark) = marked(&machine, machine.ask("update --name m -C engine=python"));
    assert_ne!(run.run().code, 0);
    assert!(mark.exists());
}

#[test]
fn files_of_a_model_do_not_shadow_modules_of_the_server() {
    let machine = Machine::new();
    let model = copy_of(&python_sample("sklearn_iris"));
    let mark = machine.0.path().join("mark");
    for name in ["mlflow", "uvicorn", "socket", "sitecustomize", "usercustomize", "encodings", "json"] {
        let script = format!("open({:?}, 'w')\nraise SystemExit('shadowed')\n", mark.display().to_string());
        fs::write(model.path().join(format!("{name}.py")), script).unwrap();
    }
    fs::write(model.path().join("x.pth"), format!("import os; open({:?}, 'w')\n", mark.display().to_string())).unwrap();
    // The working directory is the folder of the model.
    let made = ask(&machine, "create --name iris -m .").current_dir(model.path()).run();
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!mark.exists());
}
