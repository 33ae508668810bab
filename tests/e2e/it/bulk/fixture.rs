//! A server that answers each row with its number, and runs of `predict-batch` against it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use mlflow_deploy_test_support::server::{Answer, Request, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{Run, mlflow_deploy};

/// Returns the number of the row in a request.
pub(super) fn number(request: &Request) -> u64 {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["n"].as_u64().unwrap()
}

/// Returns the answer to the row with this number.
pub(super) fn echo(number: u64) -> Answer {
    Answer::new(200, json!({ "echo": number }).to_string())
}

/// Returns the line of the output for the row with this number.
pub(super) fn line(number: u64) -> String {
    format!("{{\"echo\":{number}}}\n")
}

/// A folder with the input `rows.jsonl`.
pub(super) struct Rows(TempDir);

impl Rows {
    /// Writes rows with the numbers from 0.
    pub(super) fn new(count: u64) -> Self {
        let rows = Self(tempfile::tempdir().unwrap());
        let mut text = String::new();
        (0..count).for_each(|number| writeln!(text, "{{\"n\": {number}}}").unwrap());
        fs::write(rows.path("rows.jsonl"), text).unwrap();
        rows
    }

    /// Writes these lines.
    pub(super) fn lines(text: &str) -> Self {
        let rows = Self(tempfile::tempdir().unwrap());
        fs::write(rows.path("rows.jsonl"), text).unwrap();
        rows
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the names of all files in the folder.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Returns a run of `predict-batch` that reads the rows and writes `out.jsonl`.
    pub(super) fn predict(&self, server: &Server, arguments: &str) -> Run {
        let run = mlflow_deploy("predict-batch --endpoint chat -I rows.jsonl -O out.jsonl -t").arg(server.url());
        run.args(arguments).plugin("mlflow-deploy-gateway").current_dir(self.0.path())
    }
}
