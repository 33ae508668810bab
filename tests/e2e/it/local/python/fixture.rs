//! A Python interpreter with MLflow, a model that fails on request, and the processes of Python servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mlflow_deploy::args::{CreateDeployment, Predict};
use mlflow_deploy::{ClientOptions, DeployClient, Host, Payload};
use mlflow_deploy_test_support::{cdylib, peers};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::{LOCAL, Machine, sample};
use crate::command::Run;

/// The time limit of every wait in these tests. It is long enough for a busy machine.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(120);

/// Returns the path of a Python interpreter with MLflow, scikit-learn and ONNX Runtime.
pub(in super::super) fn interpreter() -> PathBuf {
    peers::python_folder().join("python")
}

/// Returns a run of the command that uses a Python interpreter with MLflow for models.
pub(super) fn ask(machine: &Machine, arguments: &str) -> Run {
    machine.ask(arguments).env("MLFLOW_DEPLOY_LOCAL_PYTHON", interpreter()).env("HOME", machine.0.path())
}

/// Returns a client that uses the state directory of `machine`. Its plugin runs in the process of the test.
pub(super) async fn client(machine: &Machine) -> DeployClient {
    let host = Host::builder().plugin(cdylib::path(LOCAL)).build();
    let options = json!({"state_dir": machine.state_dir(), "python": interpreter()});
    host.get_deploy_client_with(Some("local"), &ClientOptions::new(&options).unwrap()).await.unwrap()
}

pub(super) fn python_sample(name: &str) -> PathBuf {
    sample("python").join(name)
}

/// Returns a folder with the model of `moody.py`, whose inputs tell it how to fail.
pub(in super::super) fn moody() -> TempDir {
    let model = tempfile::tempdir().unwrap();
    let flavor = "flavors:\n  python_function:\n    loader_module: moody\n    code: code\n    python_version: 3.11.7\n";
    fs::write(model.path().join("MLmodel"), flavor).unwrap();
    fs::create_dir(model.path().join("code")).unwrap();
    fs::copy(python_sample("moody.py"), model.path().join("code/moody.py")).unwrap();
    model
}

/// Returns a scoring request for the model [`moody`]. Its column `do` contains `mood`, which selects the model's
/// behaviour.
pub(in super::super) fn mood(mood: &str) -> String {
    json!({"dataframe_split": {"columns": ["x", "do"], "data": [[21, mood]]}}).to_string()
}

/// Returns the prediction of the model [`moody`] for a request whose column `do` is empty.
pub(in super::super) fn doubled() -> Value {
    json!({"predictions": [{"x": 42}]})
}

pub(super) async fn create(client: &DeployClient, name: &str, model: &Path) {
    let model_uri = model.to_str().unwrap().to_owned();
    let create = CreateDeployment { name: name.to_owned(), model_uri, ..CreateDeployment::default() };
    client.create_deployment(create).await.unwrap();
}

pub(super) async fn predict(client: &DeployClient, name: &str, body: &str) -> mlflow_deploy_plugin_api::Result<Value> {
    let inputs = Payload::new("application/json", body);
    let predict = Predict { deployment_name: Some(name.to_owned()), inputs, ..Predict::default() };
    client.predict(predict).await.map(|answer| answer.json().unwrap())
}

/// Returns the ids of all processes that belong to the Python servers of a state directory: the processes in the
/// servers' process groups. A server's environment has the path of a model in this directory.
pub(in super::super) fn servers(machine: &Machine) -> Vec<i32> {
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

/// Returns the process group of a process, or `None` if the process has ended or is a zombie.
pub(super) fn group(process: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

/// Calls `look` until it returns a value, and returns this value. After [`MAX_WAIT`], panics with a message that
/// contains `what`.
pub(in super::super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < MAX_WAIT, "{what}: not within {MAX_WAIT:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn kill(process: i32) {
    kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
}

/// Returns the process id of a Python server of this state directory, or `None` if no server runs.
pub(super) fn python_of(machine: &Machine) -> Option<i32> {
    let is_python = |process: &i32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("scoring_server")
    };
    servers(machine).into_iter().find(is_python)
}
