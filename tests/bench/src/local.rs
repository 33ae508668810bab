//! Measures predictions with a local model: through the plugin `local`, beside ONNX Runtime alone in Python, and
//! `mlflow models serve`. All have the same model and the same rows, and each runs in its own process.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{io, thread};

use mlflow_deploy::args::{CreateDeployment, Predict};
use mlflow_deploy::{ClientOptions, DeployClient, Host, JSON, Payload, blocking};
use serde_json::json;

use crate::machine;
use crate::report::Report;
use crate::subjects::library;
use crate::work::{Cost, ROUND};

/// A kind of work: its name, its title, the number of rows in a call, the number of threads that call, and its subjects.
type LocalWork = (&'static str, &'static str, usize, usize, &'static [&'static str]);

const WORKS: [LocalWork; 3] = [
    ("row", "local model, one row: a call", 1, 1, &["onnxruntime-python", "local", "mlflow-models-serve"]),
    ("rows", "local model, 10,000 rows: a call", 10_000, 1, &["onnxruntime-python", "local", "mlflow-models-serve"]),
    ("row-threads", "local model, 64 threads: a row", 1, 64, &["local"]),
];

/// Adds the costs of all kinds of work to the report. `libraries` has the built plugins.
pub(crate) fn measure(libraries: &Path, python: &Path, rounds: usize, report: &mut Report) -> io::Result<()> {
    for (name, title, rows, _, subjects) in WORKS {
        let folder = tempfile::tempdir()?;
        let request = folder.path().join("request.json");
        std::fs::write(&request, body(rows))?;
        let mut costs = vec![Vec::new(); subjects.len()];
        for _ in 0..rounds {
            for (subject, costs) in subjects.iter().zip(&mut costs) {
                let mut command = if *subject == "local" {
                    let mut command = Command::new(std::env::current_exe()?);
                    command.args(["local", name]).arg(libraries);
                    command
                } else {
                    let mut command = Command::new(python);
                    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/local.py");
                    command.arg("-B").arg(script).arg(subject).arg(model()).arg(&request);
                    command
                };
                let output = command.stderr(Stdio::inherit()).output()?;
                assert!(output.status.success(), "{subject} failed at {name}");
                costs.push(serde_json::from_slice(&output.stdout)?);
            }
        }
        report.add(name, title, subjects, costs);
    }
    Ok(())
}

/// Does the work of this name with the plugin, after some first calls. Returns the cost of one call.
pub(crate) async fn run(name: &str, libraries: &Path) -> Cost {
    let (_, _, rows, threads, _) = *WORKS.iter().find(|(known, ..)| *known == name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (client, request) = (deployed(folder.path(), libraries).await, body(rows));
    // The plugin starts to answer on the thread of the caller once it knows how long a call takes.
    for _ in 0..100 {
        predict(&client, &request).await;
    }
    let (begun, used) = (Instant::now(), machine::cpu_time().of_process);
    let count = match threads {
        1 => repeat(&client, &request).await,
        _ => thread::scope(|scope| {
            let each = || scope.spawn(|| blocking::wait(repeat(&client, &request)));
            let threads: Vec<_> = (0..threads).map(|_| each()).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        }),
    };
    let (wall, used) = (begun.elapsed().as_secs_f64(), machine::cpu_time().of_process - used);
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    Cost { wall: each(wall), cpu: each(used), memory: machine::peak_memory() }
}

/// Repeats a request for the time of a round. Returns the number of calls.
async fn repeat(client: &DeployClient, request: &str) -> usize {
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < ROUND {
        predict(client, request).await;
        count += 1;
    }
    count
}

async fn predict(client: &DeployClient, request: &str) {
    let inputs = Payload::new(JSON, request);
    let predict = Predict { deployment_name: Some("iris".to_owned()), inputs, ..Predict::default() };
    client.predict(predict).await.unwrap();
}

async fn deployed(folder: &Path, libraries: &Path) -> DeployClient {
    let host = Host::builder().plugin(libraries.join(library("mlflow_deploy_local"))).build();
    let onnxruntime = libraries.join("../lib/mlflow-deploy");
    let options = json!({"state_dir": folder.join("state"), "onnxruntime": onnxruntime});
    let client = host.get_deploy_client_with(Some("local"), &ClientOptions::new(&options).unwrap()).await.unwrap();
    let (name, model_uri) = ("iris".to_owned(), model().display().to_string());
    client.create_deployment(CreateDeployment { name, model_uri, ..CreateDeployment::default() }).await.unwrap();
    client
}

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/models/onnx_iris_tensor")
}

/// Returns the body of a scoring request with this number of rows.
fn body(rows: usize) -> String {
    let mut body = "{\"inputs\":[".to_owned();
    for number in 0..rows {
        let comma = if number == 0 { "" } else { "," };
        let (first, third) = (51 + number % 7, 14 + number % 50);
        write!(body, "{comma}[{}.{},3.5,{}.{},0.2]", first / 10, first % 10, third / 10, third % 10).unwrap();
    }
    body + "]}"
}
