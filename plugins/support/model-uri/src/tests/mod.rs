//! Tests of model URIs, and of fetches from a scripted server and from a real one.

mod databricks;
mod events;
mod fetching;
mod hostile;
mod object_stores;
mod presigned;
mod real_server;
mod resolving;
mod settings;
mod uris;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret};
use mlflow_deploy_test_support::server::{Answer, Request, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::{Fetched, ModelUri, Tracking, TrackingOptions, fetch};

const ARTIFACTS: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// The environment variables that set one retry without a wait.
const QUICK: [(&str, &str); 3] = [
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
];

/// Returns a client with these options and environment variables, which retries without waits.
fn tracking(options: TrackingOptions, variables: &[(&str, &str)]) -> Result<Tracking> {
    let lookup = |name: &str| {
        let found = variables.iter().chain(&QUICK).find(|(each, _)| *each == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Tracking::new(options, &Environment::new(&lookup))
}

/// Returns a client of the server at `url`, without other options.
fn client(url: &str) -> Tracking {
    tracking(TrackingOptions { tracking_uri: Some(Secret::new(url)), ..TrackingOptions::default() }, &[]).unwrap()
}

/// A destination for a fetch, in a temporary folder of its own, so that a test can find leftover files.
struct Destination(TempDir);

impl Destination {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("model")
    }

    /// Returns the names of the files and folders in the temporary folder.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn fetch(&self, uri: &str, tracking: &Tracking) -> Result<Fetched> {
        let fetched = fetch(&ModelUri::parse(uri)?, tracking, &self.path()).await;
        let left = self.left();
        match &fetched {
            Ok(fetched) if fetched.is_downloaded => assert_eq!(left, ["model"]),
            _ => assert!(left.is_empty(), "{left:?}"),
        }
        fetched
    }
}

/// Fetches a model and returns the error. Asserts that the fetch leaves no files.
async fn fetch_error(uri: &str, tracking: &Tracking) -> Error {
    Destination::new().fetch(uri, tracking).await.unwrap_err()
}

/// Starts a server of artifacts. `listings` contains the listing of each folder, and `files` the response for each
/// file.
fn artifacts(listings: &[(&str, Value)], files: &[(&str, Answer)]) -> Server {
    let listings: BTreeMap<String, Value> =
        listings.iter().map(|(path, files)| ((*path).to_owned(), json!({"files": files}))).collect();
    let files: BTreeMap<String, Answer> =
        files.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
    Server::answering(move |request| {
        if let Some(folder) = listed(request) {
            return Answer::new(200, listings.get(&folder).unwrap_or(&json!({})).to_string());
        }
        let path = request.path.strip_prefix(ARTIFACTS).unwrap_or_default().trim_start_matches('/');
        let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap().into_owned();
        files
            .get(&path)
            .cloned()
            .unwrap_or_else(|| Answer::new(404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST"}).to_string()))
    })
}

/// Returns the path of the folder that a request lists; `None` for other requests.
fn listed(request: &Request) -> Option<String> {
    let url = Url::parse(&format!("http://h{}", request.path)).unwrap();
    let is_listing = url.path() == ARTIFACTS;
    is_listing.then(|| url.query_pairs().find(|(name, _)| name == "path").unwrap().1.into_owned())
}

fn file(path: &str, size: usize) -> Value {
    json!({"path": path, "is_dir": false, "file_size": size})
}

fn folder(path: &str) -> Value {
    json!({"path": path, "is_dir": true})
}

/// Returns the contents of all files below a folder, by their relative paths.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Returns the method and the path of each request that the server has received.
fn requested(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}
