//! A temporary state directory, runs of the command that use it, and sample models.

use std::fs;
use std::path::{Path, PathBuf};

use mlflow_deploy::{ClientOptions, DeployClient, Host};
use mlflow_deploy_test_support::{cdylib, onnxruntime};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{Run, mlflow_deploy};

pub(super) const LOCAL: &str = "mlflow-deploy-local";

/// A temporary folder with a state directory. The folder is deleted when this value is dropped.
pub(super) struct Machine(pub(super) TempDir);

impl Machine {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// Returns a run of the command that uses this state directory and ONNX Runtime.
    pub(super) fn ask(&self, arguments: &str) -> Run {
        ask(arguments, &self.state_dir())
    }

    /// Returns a client that uses this state directory. Its plugin runs in the process of the test.
    pub(super) async fn client(&self) -> DeployClient {
        let host = Host::builder().plugin(cdylib::path(LOCAL)).build();
        let options = json!({"state_dir": self.state_dir(), "onnxruntime": onnxruntime::folder()});
        host.get_deploy_client_with(Some("local"), &ClientOptions::new(&options).unwrap()).await.unwrap()
    }

    pub(super) fn create(&self, name: &str, model: &Path) {
        let made = self.ask("create --name").arg(name).arg("-m").arg(model).run();
        assert_eq!(made.code, 0, "{made:?}");
    }

    /// Returns the names of all deployments in the state directory.
    pub(super) fn names(&self) -> Vec<String> {
        names(&self.ask("list --json").run().json())
    }

    /// Returns the number of model copies in the state directory, including copies that are not part of a deployment.
    pub(super) fn copies(&self) -> usize {
        fs::read_dir(self.state_dir().join("models")).map_or(0, Iterator::count)
    }
}

/// Returns a run of the command that uses this state directory and ONNX Runtime.
pub(super) fn ask(arguments: &str, state_dir: &Path) -> Run {
    let (verb, rest) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let run = mlflow_deploy(verb).plugin(LOCAL).arg("-t").arg("local");
    let run = rest.split_whitespace().fold(run, Run::arg);
    run.env("MLFLOW_DEPLOY_LOCAL_STATE", state_dir).env("ORT_DYLIB_PATH", onnxruntime::folder())
}

fn names(records: &Value) -> Vec<String> {
    records.as_array().unwrap().iter().map(|record| record["name"].as_str().unwrap().to_owned()).collect()
}

/// Returns the absolute path of a folder in this repository.
pub(super) fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).canonicalize().unwrap()
}

/// Returns the folder of the sample model with this name, in `tests/e2e/models`.
pub(super) fn sample(name: &str) -> PathBuf {
    folder("tests/e2e/models").join(name)
}

/// Returns the folder of the demo model, which predicts the species of a flower from four measurements.
pub(super) fn iris() -> PathBuf {
    folder("examples/iris/model")
}

/// A valid scoring request with two rows for the demo model.
pub(super) const FLOWERS: &str = r#"{"dataframe_split": {
    "columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
    "data": [[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]]
}}"#;

/// Copies a model's files to a temporary folder, so that a test can change the copy.
pub(super) fn copy_of(model: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(model).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}
