//! The tracking server of MLflow 3.18 and its storage server. The tracking server does not send files, but signs URLs
//! of the storage.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use super::{PeerProcess, UVICORN, installed, python_of, run_script_with};

/// The name of the virtual environment with MLflow 3.18.
const VENV: &str = "venv-3.18";

/// A server `mlflow server --artifacts-presigned-only` of MLflow 3.18. It stores artifacts in moto, a server that
/// speaks Amazon S3's protocol.
#[derive(Debug)]
pub struct PresigningServer {
    server: PeerProcess,
    storage: PeerProcess,
}

impl PresigningServer {
    /// Starts the tracking server and its storage server, which takes about eight seconds.
    ///
    /// # Panics
    /// Panics if a server does not start.
    pub fn start() -> Self {
        let storage = PeerProcess::start("storage", |folder| {
            let mut python = python_of(VENV, folder);
            python.args(["-I", "-u", "-W", "ignore", "-m", "moto.server", "--host=127.0.0.1", "--port=0"]);
            python
        });
        create_bucket(&storage.url);
        let server = PeerProcess::start("tracking-3.18", |folder| {
            fs::copy(installed("databases/tracking-3.18.db"), folder.join("tracking.db"))
                .expect("the database is installed and can be copied");
            let database = format!("sqlite:///{}", folder.join("tracking.db").display());
            let mut python = python_of(VENV, folder);
            // `mlflow server` sets these variables for its uvicorn.
            python
                .args(UVICORN)
                .arg("mlflow.server.fastapi_app:app")
                .env("_MLFLOW_SGI_NAME", "uvicorn")
                .env("_MLFLOW_SERVER_FILE_STORE", &database)
                .env("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
                .env("_MLFLOW_SERVER_ARTIFACT_DESTINATION", "s3://models/root")
                .env("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
                .env("MLFLOW_ARTIFACTS_PRESIGNED_ONLY", "true")
                .env("MLFLOW_TRACKING_URI", database)
                .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "for tests")
                .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
                .env("MLFLOW_S3_ENDPOINT_URL", &storage.url)
                .env("AWS_ACCESS_KEY_ID", "a-key-for-tests")
                .env("AWS_SECRET_ACCESS_KEY", "a-secret-for-tests")
                .env("AWS_DEFAULT_REGION", "us-east-1");
            python
        });
        Self { server, storage }
    }

    /// Returns the URL of the tracking server: its scheme, host and port.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Does the same as [`run_script`](super::run_script), but with the client of MLflow 3.18.
    ///
    /// # Panics
    /// Panics with the script's standard error if the script fails.
    pub fn run_script(&self, name: &str, arguments: &[&str]) -> Vec<u8> {
        run_script_with(VENV, name, arguments)
    }

    /// Returns the log of the storage server, which has a line for each request.
    pub fn storage_log(&self) -> String {
        self.storage.log()
    }
}

/// Creates the bucket `models` in the storage server at this URL.
fn create_bucket(url: &str) {
    let host = url.trim_start_matches("http://");
    let mut connection = TcpStream::connect(host).expect("the storage listens");
    let request = format!("PUT /models HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).expect("the storage reads requests");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("the storage answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
