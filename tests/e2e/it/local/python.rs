//! Models that Python runs: MLflow's scoring server as a child, asked, killed, and gone with whoever started it.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mlflow_deploy::args::{CreateDeployment, DeleteDeployment, Predict};
use mlflow_deploy::{ClientOptions, DeployClient, Host, Payload};
use mlflow_deploy_test_support::{cdylib, peers};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::samples::{CLOSE, distance};
use super::{LOCAL, Machine, folder, sample};
use crate::command::Run;

/// For what happens in a moment, on a machine that does much else.
const GENEROUS: Duration = Duration::from_secs(120);

/// The Python that has MLflow, scikit-learn and ONNX Runtime.
pub(super) fn interpreter() -> PathBuf {
    peers::python_folder().join("python")
}

/// The command, told of a Python that has MLflow.
fn ask(machine: &Machine, arguments: &str) -> Run {
    machine.ask(arguments).env("MLFLOW_DEPLOY_LOCAL_PYTHON", interpreter()).env("HOME", machine.0.path())
}

/// A client in this process.
async fn client(machine: &Machine) -> DeployClient {
    let host = Host::builder().plugin(cdylib::path(LOCAL)).build();
    let options = json!({"state_dir": machine.state_dir(), "python": interpreter()});
    host.get_deploy_client_with(Some("local"), &ClientOptions::new(&options).unwrap()).await.unwrap()
}

fn python_sample(name: &str) -> PathBuf {
    sample("python").join(name)
}

/// The model of `moody.py`.
pub(super) fn moody() -> TempDir {
    let model = tempfile::tempdir().unwrap();
    let flavor = "flavors:\n  python_function:\n    loader_module: moody\n    code: code\n    python_version: 3.11.7\n";
    fs::write(model.path().join("MLmodel"), flavor).unwrap();
    fs::create_dir(model.path().join("code")).unwrap();
    fs::copy(python_sample("moody.py"), model.path().join("code/moody.py")).unwrap();
    model
}

/// A request to that model.
pub(super) fn mood(mood: &str) -> String {
    json!({"dataframe_split": {"columns": ["x", "do"], "data": [[21, mood]]}}).to_string()
}

/// What it answers in a good mood.
pub(super) fn doubled() -> Value {
    json!({"predictions": [{"x": 42}]})
}

async fn create(client: &DeployClient, name: &str, model: &Path) {
    let model_uri = model.to_str().unwrap().to_owned();
    let create = CreateDeployment { name: name.to_owned(), model_uri, ..CreateDeployment::default() };
    client.create_deployment(create).await.unwrap();
}

async fn predict(client: &DeployClient, name: &str, body: &str) -> mlflow_deploy_plugin_api::Result<Value> {
    let inputs = Payload::new("application/json", body);
    let predict = Predict { deployment_name: Some(name.to_owned()), inputs, ..Predict::default() };
    client.predict(predict).await.map(|answer| answer.json().unwrap())
}

/// Processes that belong to servers of a state directory: those with its model, and all of their groups.
pub(super) fn servers(machine: &Machine) -> Vec<i32> {
    let mark = format!("__pyfunc_model_path__={}", machine.state_dir().display());
    let processes: Vec<i32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|process| group(*process).is_some())
        .collect();
    let is_marked = |process: &&i32| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&mark)
    };
    let groups: Vec<Option<i32>> = processes.iter().filter(is_marked).map(|process| group(*process)).collect();
    processes.into_iter().filter(|process| group(*process).is_some_and(|group| groups.contains(&Some(group)))).collect()
}

/// The process group of a process that runs; nothing for one that has ended, and whose parent has not looked yet.
fn group(process: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

/// Waits until something is so, and fails where it takes absurdly long.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < GENEROUS, "{what}: not within {GENEROUS:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn kill(process: i32) {
    kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
}

/// The one process of Python among a server's.
fn python_of(machine: &Machine) -> Option<i32> {
    let is_python = |process: &i32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("scoring_server")
    };
    servers(machine).into_iter().find(is_python)
}

#[tokio::test]
async fn deployments_answer_as_mlflow_s_scoring_server_has_answered() {
    let machine = Machine::new();
    let client = client(&machine).await;
    let (mut same, mut failing) = (0, Vec::new());
    for model in ["sklearn_iris", "sklearn_nosig"] {
        create(&client, model, &python_sample(model)).await;
        let recorded = folder("plugins/support/scoring/src/tests/recordings").join(format!("{model}.json"));
        let recorded: Value = serde_json::from_slice(&fs::read(recorded).unwrap()).unwrap();
        for case in recorded["cases"].as_array().unwrap() {
            let (request, response) = (&case["request"], &case["response"]);
            let text = |key: &str| request[key].as_str().map(str::to_owned);
            // The others are about HTTP: a payload goes one way, and always says what it is.
            let (Some(content_type), Some(body)) = (text("content_type"), text("body")) else { continue };
            if request["path"] != "/invocations" || content_type.is_empty() {
                continue;
            }
            let inputs = Payload::new(content_type, body);
            let predict = Predict { deployment_name: Some(model.to_owned()), inputs, ..Predict::default() };
            let ours = client.predict(predict).await;
            let is_same = match &ours {
                Ok(answer) => {
                    let theirs = response["body"].as_str().unwrap_or_default();
                    response["status"] == 200
                        && (answer.bytes() == theirs.as_bytes()
                            || distance(&answer.json().unwrap(), &serde_json::from_str(theirs).unwrap()) <= CLOSE)
                }
                Err(error) => {
                    let theirs = &response["error"];
                    let is_text = theirs.is_null();
                    let is_their = |detail: &str| Some(&theirs[detail]) == error.details().get(detail);
                    error.http_status().is_some_and(|status| response["status"] == status)
                        && (is_text || theirs["error_code"] == error.code().as_str())
                        && (is_text || is_their("error_class") && is_their("sqlstate"))
                }
            };
            match is_same {
                true => same += 1,
                false => failing.push(format!("{model}/{}: {ours:?}, and MLflow {response}", case["name"])),
            }
        }
    }
    println!("scoring recordings through Python: {same} passing, {} failing", failing.len());
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

#[test]
fn a_model_without_onnx_is_run_by_python_and_the_output_says_so() {
    let machine = Machine::new();
    let made = ask(&machine, "create --name iris -v -m").arg(python_sample("sklearn_iris")).run();
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stdout.contains("python_function deployment iris is created"), "{made:?}");
    assert!(made.stderr.contains("the flavor `python_function` is run by ") && made.stderr.contains("MLflow 3.17.2"));
    let record = machine.ask("get --name iris --json").run().json();
    assert_eq!((&record["engine"], &record["flavor"]), (&"python".into(), &"python_function".into()));
    assert_eq!(record["python"], interpreter().to_str().unwrap());
    // The Python that it was made with runs it from then on, wherever it is asked from: two at once here.
    let request = fs::read(python_sample("sklearn_iris/serving_input_example.json")).unwrap();
    let two = [(); 2].map(|()| {
        let predict = machine.ask("predict --name iris -I - --json").env("HOME", machine.0.path());
        predict.stdin(&request).spawn()
    });
    for one in two {
        let ended = one.wait_with_output().unwrap();
        let answer: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        assert_eq!(answer, json!({"predictions": [0, 0, 0]}));
    }
    assert_eq!(servers(&machine), [0; 0]);
}

#[test]
fn what_python_predicts_is_explained() {
    let (machine, model) = (Machine::new(), moody());
    assert_eq!(ask(&machine, "create --name moody -m").arg(model.path()).run().code, 0);
    let background = r#"background={"dataframe_split": {"columns": ["x", "do"], "data": [[1, "a"], [4, "b"]]}}"#;
    let explain = ask(&machine, "explain --name moody -I - --json -C").arg(background.replacen('=', ":=", 1));
    let explained = explain.stdin(mood("")).run().json();
    // The model is linear: twice the distance from the mean, and the text adds nothing.
    assert_eq!(explained["feature_names"], json!(["x", "do"]));
    assert_eq!(explained["output"], "x");
    assert_eq!(explained["base_values"], json!([5.0]));
    assert_eq!(explained["values"], json!([[[37.0], [0.0]]]));
    assert_eq!(explained["predictions"], json!([[42.0]]));
}

#[test]
fn a_model_with_both_flavors_runs_where_it_is_asked_to() {
    let machine = Machine::new();
    let request = r#"{"inputs": [1.0]}"#;
    for (config, engine) in [("engine=python", "python"), ("engine=onnx", "onnx")] {
        let verb = if engine == "python" { "create" } else { "update" };
        let made = ask(&machine, verb).arg("--name").arg("double").arg("-C").arg(config);
        let made = if engine == "python" { made.arg("-m").arg(sample("times_2")) } else { made };
        let made = made.run();
        assert_eq!(made.code, 0, "{made:?}");
        let record = machine.ask("get --name double --json").run().json();
        assert_eq!(record["engine"], engine, "{record}");
        let answer = ask(&machine, "predict --name double --json -I -").stdin(request).run().json();
        assert_eq!(answer, json!({"predictions": {"y": [2.0]}}), "{engine}");
    }
    let refused =
        ask(&machine, "create --name other --json -C engine=onnx -m").arg(python_sample("sklearn_iris")).run();
    let message = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("no flavor `onnx`: it has `python_function`, `sklearn`"), "{message}");
}

#[tokio::test]
async fn killed_under_load_it_is_back_and_nobody_gets_a_wrong_answer() {
    const CALLERS: usize = 4;
    let (machine, model) = (Machine::new(), moody());
    let client = Arc::new(client(&machine).await);
    create(&client, "moody", model.path()).await;
    assert_eq!(predict(&client, "moody", &mood("")).await.unwrap(), doubled());
    let (answers, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, answers, is_over) = (Arc::clone(&client), Arc::clone(&answers), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut errors = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    match predict(&client, "moody", &mood("")).await {
                        Ok(answer) => {
                            assert_eq!(answer, doubled());
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => errors.push(error),
                    }
                }
                errors
            })
        })
        .collect();
    let wait_for = async |more: usize| {
        let goal = answers.load(Ordering::Relaxed) + more;
        while answers.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    wait_for(20).await;
    let first = python_of(&machine).unwrap();
    let killed = Instant::now();
    kill(first);
    wait_for(20).await;
    let recovery = killed.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let mut errors = Vec::new();
    for caller in callers {
        errors.extend(caller.await.unwrap());
    }
    assert!(errors.len() <= CALLERS, "each caller loses one request at most: {errors:?}");
    for error in &errors {
        let expected = "the model's Python server was killed by signal 9 during the request: the server is restarted";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!((error.code().as_str(), error.is_retryable()), ("TEMPORARILY_UNAVAILABLE", true));
    }
    assert_ne!(python_of(&machine).unwrap(), first);
    println!(
        "killed under load: {} of {CALLERS} callers lost a request; 20 answers later after {recovery:?}",
        errors.len()
    );
    client
        .delete_deployment(DeleteDeployment { name: "moody".to_owned(), ..DeleteDeployment::default() })
        .await
        .unwrap();
    until("the server of a deleted deployment is gone", || servers(&machine).is_empty().then_some(()));
}

#[tokio::test]
async fn a_model_that_ends_its_process_is_told_of_and_started_anew() {
    let (machine, model) = (Machine::new(), moody());
    let client = client(&machine).await;
    create(&client, "moody", model.path()).await;
    for _ in 0..2 {
        assert_eq!(predict(&client, "moody", &mood("")).await.unwrap(), doubled());
        let error = predict(&client, "moody", &mood("exit")).await.unwrap_err();
        assert!(
            error.to_string().starts_with("the model's Python server ended with status 3 during the request"),
            "{error}"
        );
        let log = error.causes().next().unwrap();
        assert!(log.ends_with("the model exits"), "{log}");
    }
    // An exception is an answer.
    let process = until("it is started anew", || python_of(&machine));
    let error = predict(&client, "moody", &mood("raise")).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.http_status()), ("BAD_REQUEST", Some(400)));
    assert_eq!(python_of(&machine), Some(process));
}

#[tokio::test]
async fn a_server_that_cannot_start_again_is_tried_after_a_pause() {
    let (machine, model) = (Machine::new(), moody());
    let client = client(&machine).await;
    create(&client, "moody", model.path()).await;
    assert_eq!(predict(&client, "moody", &mood("")).await.unwrap(), doubled());
    let copy = fs::read_dir(machine.state_dir().join("models")).unwrap().next().unwrap().unwrap().path();
    let code = copy.join("model/code/moody.py");
    fs::rename(&code, copy.join("moody.py")).unwrap();
    let running = python_of(&machine).unwrap();
    kill(running);
    until("it is gone", || group(running).is_none().then_some(()));
    let mut refused = 0;
    while refused < 3 {
        let error = predict(&client, "moody", &mood("")).await.unwrap_err();
        // The connection may still be that of the server that was killed.
        if error.code().as_str() == "INVALID_STATE" {
            assert!(error.to_string().contains("ended with status 1 during its start: "), "{error}");
            // Those who ask during a pause cost nothing: they are told how long it lasts.
            assert!(error.retry_after().unwrap() <= Duration::from_secs(30), "{error:?}");
            refused += 1;
        }
    }
    assert_eq!(servers(&machine), [0; 0]);
    fs::rename(copy.join("moody.py"), &code).unwrap();
    let mut answer = predict(&client, "moody", &mood("")).await;
    let begun = Instant::now();
    while let Err(error) = answer {
        assert!(begun.elapsed() < GENEROUS, "{error}");
        tokio::time::sleep(error.retry_after().unwrap()).await;
        answer = predict(&client, "moody", &mood("")).await;
    }
    assert_eq!(answer.unwrap(), doubled());
}

#[test]
fn a_model_that_cannot_be_loaded_says_why() {
    let (machine, model) = (Machine::new(), moody());
    fs::write(model.path().join("requirements.txt"), "a-package-that-nobody-has\n").unwrap();
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
             'a_package_that_nobody_has'; install the missing modules with: "
        ),
        "{message}"
    );
    assert!(message.ends_with("/python -m pip install 'a-package-that-nobody-has'"), "{message}");
    let log = error["causes"][0].as_str().unwrap();
    assert!(log.starts_with("its log ends with:\n") && log.contains("import a_package_that_nobody_has"), "{log}");

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
fn where_there_is_no_python_the_error_says_where_was_looked() {
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

    // A real one, without anything installed.
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

#[test]
fn nothing_is_left_of_a_server_when_its_host_is_killed() {
    let (machine, model) = (Machine::new(), moody());
    let made = ask(&machine, "create --name moody -m").arg(model.path()).run();
    assert_eq!(made.code, 0, "{made:?}");
    for while_what in ["starts", "predicts"] {
        let hangs = machine.0.path().join("hangs");
        let _none = fs::remove_file(&hangs);
        let predict = ask(&machine, "predict --name moody -I -").env("MOODY_HANGS", &hangs).stdin(mood("hang"));
        let mut host = predict.spawn();
        let processes = until("the server is there", || {
            let found = servers(&machine);
            let is_ready = while_what == "starts" || hangs.exists();
            (found.len() > 1 && is_ready).then_some(found)
        });
        host.kill().unwrap();
        let killed = Instant::now();
        let left = || processes.iter().any(|process| group(*process).is_some()) || !servers(&machine).is_empty();
        until("the server is gone", || (!left()).then_some(()));
        println!("host killed while its server {while_what}: nothing left after {:?}", killed.elapsed());
        host.wait().unwrap();
    }
}

/// Where a Python is a program that leaves a mark and no more, so that a start of it is seen.
fn marked(machine: &Machine, run: Run) -> (Run, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let (python, mark) = (machine.0.path().join("python"), machine.0.path().join("mark"));
    fs::write(&python, format!("#!/bin/sh\n: > '{}'\n", mark.display())).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let run = run.env("MLFLOW_DEPLOY_LOCAL_PYTHON", &python).env("VIRTUAL_ENV", machine.0.path());
    (run.env("PATH", machine.0.path()), mark)
}

#[test]
fn a_model_with_the_flavor_onnx_never_runs_python_unasked() {
    let machine = Machine::new();
    let text = fs::read_to_string(sample("times_2").join("MLmodel")).unwrap();
    assert!(text.contains("data: model.onnx") && text.contains("python_function:"), "{text}");
    let spoilt = |from: &str, to: &str| {
        let copy = super::copy_of(&sample("times_2"));
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        fs::write(copy.path().join("MLmodel"), changed).unwrap();
        copy
    };
    let damaged = super::copy_of(&sample("times_2"));
    fs::write(damaged.path().join("model.onnx"), "no model").unwrap();
    let missing = super::copy_of(&sample("times_2"));
    fs::remove_file(missing.path().join("model.onnx")).unwrap();
    for model in [
        damaged,
        missing,
        spoilt("data: model.onnx", "data: 5"),
        spoilt("data: model.onnx", "data: ../model.onnx"),
        spoilt("flavors:", "flavors:\n  onnx: null"),
    ] {
        let (run, mark) = marked(&machine, machine.ask("create --name m --json -m").arg(model.path()));
        let ran = run.run();
        assert_eq!(ran.error()["code"], "INVALID_PARAMETER_VALUE", "{ran:?}");
        assert!(!mark.exists(), "{ran:?}");
    }
    let (run, mark) = marked(&machine, machine.ask("create --name m -m").arg(sample("times_2")));
    assert_eq!(run.run().code, 0);
    assert!(!mark.exists());
    // The program is seen where it is asked for.
    let (run, mark) = marked(&machine, machine.ask("update --name m -C engine=python"));
    assert_ne!(run.run().code, 0);
    assert!(mark.exists());
}

#[test]
fn files_of_a_model_shadow_no_module_of_the_server() {
    let machine = Machine::new();
    let model = super::copy_of(&python_sample("sklearn_iris"));
    let mark = machine.0.path().join("mark");
    for name in ["mlflow", "uvicorn", "socket", "sitecustomize", "usercustomize", "encodings", "json"] {
        let script = format!("open({:?}, 'w')\nraise SystemExit('shadowed')\n", mark.display().to_string());
        fs::write(model.path().join(format!("{name}.py")), script).unwrap();
    }
    fs::write(model.path().join("x.pth"), format!("import os; open({:?}, 'w')\n", mark.display().to_string())).unwrap();
    // From within the model's folder, too.
    let made = ask(&machine, "create --name iris -m .").current_dir(model.path()).run();
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!mark.exists());
}
