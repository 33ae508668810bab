//! Measures the time of a prediction for one row and for ten thousand rows. Compares the plugin `local`, ONNX Runtime
//! in Python, and `mlflow models serve`, with the same model and requests.
//!
//! Run it with `cargo bench -p mlflow-deploy-e2e --bench local`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "prints its measurements, and panics on failure")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mlflow_deploy::args::{CreateDeployment, Predict};
use mlflow_deploy::{ClientOptions, DeployClient, Host, Payload};
use mlflow_deploy_test_support::{cdylib, onnxruntime, peers};
use serde_json::{Value, json};

const ROWS: [usize; 2] = [1, 10_000];

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/onnx_iris_tensor");
    let requests = ROWS.map(|rows| {
        let row =
            |number: usize| json!([5.1 + (number % 7) as f64 / 10.0, 3.5, 1.4 + (number % 50) as f64 / 10.0, 0.2]);
        json!({"inputs": (0..rows).map(row).collect::<Vec<_>>()}).to_string()
    });
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let client = deployed(folder.path(), &model).await;
        [median(&client, &requests[0]).await, median(&client, &requests[1]).await]
    });
    let files = requests.each_ref().map(|request| {
        let path = folder.path().join(request.len().to_string());
        fs::write(&path, request).unwrap();
        path.display().to_string()
    });
    let theirs = peers::run_script("bench_local.py", &[&model.display().to_string(), &files[0], &files[1]]);
    let theirs: Value = serde_json::from_slice(&theirs).unwrap();
    println!(
        "{:>8} {:>22} {:>26} {:>26}",
        "rows", "plugin, JSON in and out", "ONNX Runtime in Python", "mlflow models serve"
    );
    for (number, rows) in ROWS.iter().enumerate() {
        let [python, http] = ["in_process", "over_http"].map(|way| theirs[way][number].as_f64().unwrap());
        println!("{rows:>8} {:>19.1} us {python:>23.1} us {http:>23.1} us", ours[number]);
    }
}

async fn deployed(folder: &Path, model: &Path) -> DeployClient {
    let host = Host::builder().plugin(cdylib::path("mlflow-deploy-local")).build();
    let options = json!({"state_dir": folder.join("state"), "onnxruntime": onnxruntime::folder()});
    let client = host.get_deploy_client_with(Some("local"), &ClientOptions::new(&options).unwrap()).await.unwrap();
    let (name, model_uri) = ("iris".to_owned(), model.display().to_string());
    client.create_deployment(CreateDeployment { name, model_uri, ..CreateDeployment::default() }).await.unwrap();
    client
}

/// Returns the median time of a prediction for this request, in microseconds.
async fn median(client: &DeployClient, request: &str) -> f64 {
    let mut taken = Vec::new();
    let begun = Instant::now();
    while taken.len() < 30 || begun.elapsed() < Duration::from_secs(3) {
        let inputs = Payload::new("application/json", request);
        let predict = Predict { deployment_name: Some("iris".to_owned()), inputs, ..Predict::default() };
        let sent = Instant::now();
        client.predict(predict).await.unwrap();
        taken.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    taken.sort_by(f64::total_cmp);
    taken[taken.len() / 2]
}
