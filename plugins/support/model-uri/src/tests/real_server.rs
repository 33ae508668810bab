//! Tests with models that MLflow's own client has logged, to a real tracking server or to files. Both clients fetch the
//! same files.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use mlflow_deploy_test_support::peers::{PASSWORD, TrackingServer, USER, run_script};

use super::*;
use crate::files::FileStore;

/// The file that MLflow's client adds to a registered model when it fetches the model.
const ADDED: &str = "registered_model_meta";

/// The models that MLflow's client has logged to a server.
struct Logged {
    names: Value,
    /// The folder with the models that MLflow's client has fetched.
    folder: TempDir,
}

impl Logged {
    /// Logs models, each with a file of `large` bytes. If `and_fetch` is true, MLflow's client also fetches them.
    fn log(url: &str, large: usize, and_fetch: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("sub dir/チ")).unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(large).collect();
        fs::write(data.join("large"), bytes).unwrap();
        fs::write(data.join("sub dir/a+b%.txt"), "odd").unwrap();
        fs::write(data.join("sub dir/チ/empty"), "").unwrap();
        let (data, fetched) = (data.to_str().unwrap(), folder.path().to_str().unwrap());
        let arguments = if and_fetch { vec![url, data, fetched] } else { vec![url, data] };
        Self { names: serde_json::from_slice(&run_script("log_model.py", &arguments)).unwrap(), folder }
    }

    fn name(&self, name: &str) -> &str {
        self.names[name].as_str().unwrap()
    }

    /// Returns the URI of each model, and the files of the model as MLflow's client has fetched them.
    fn models(&self) -> Vec<(&str, BTreeMap<String, Vec<u8>>)> {
        let models = self.names["models"].as_object().unwrap();
        models
            .iter()
            .map(|(uri, name)| (uri.as_str(), content(&self.folder.path().join(name.as_str().unwrap()))))
            .collect()
    }
}

#[tokio::test]
async fn every_model_is_fetched_as_by_mlflow_s_client_and_a_killed_server_leaves_nothing() {
    let server = TrackingServer::start();
    let url = server.url().to_owned();
    let logged = Logged::log(&url, LARGE, true);
    let client = client(&url);
    let mut models = logged.models();
    assert_eq!(models.len(), 7);
    let path = logged.name("artifacts").trim_start_matches("mlflow-artifacts:/");
    let proxied = format!("{}{ARTIFACTS}/{path}", url.trim_end_matches('/'));
    models.push((&proxied, models.iter().find(|(uri, _)| *uri == logged.name("artifacts")).unwrap().1.clone()));
    for (uri, mut theirs) in models {
        let place = Destination::new();
        let fetched = place.fetch(uri, &client).await.unwrap();
        let mut ours = content(&fetched.path);
        // The model that was logged as a run's artifacts contains this file, because it was fetched before.
        for files in [&mut ours, &mut theirs] {
            files.remove(ADDED);
        }
        assert!(ours == theirs, "{uri}: {:?} {:?}", ours.keys(), theirs.keys());
        assert!(ours.len() >= 7 && ours.contains_key("data/data/sub dir/a+b%.txt"), "{:?}", ours.keys());
        assert_eq!(ours.contains_key("notes.txt"), uri.ends_with("/model"), "{uri}");
        let version = match uri {
            "models:/iris/1" => Some("1"),
            "models:/iris@champion" | "models:/iris/latest" => Some("2"),
            _ => None,
        };
        assert_eq!(fetched.version.as_deref(), version, "{uri}");
    }

    let run = logged.name("run_id");
    for (uri, message) in [
        (
            "runs:/00000000000000000000000000000000/model".to_owned(),
            "Run with id=00000000000000000000000000000000 not found",
        ),
        (format!("runs:/{run}/nope"), "the server has no files in `http://"),
        (format!("runs:/{run}/older"), "which contains `model one/`"),
        ("models:/m-00000000000000000000000000000000".to_owned(), "Logged model with ID"),
        ("models:/nope/1".to_owned(), "name=nope"),
        ("models:/iris/3".to_owned(), "(name=iris, version=3) not found"),
        ("models:/iris/Production".to_owned(), "the registered model `iris` has no version in the stage `Production`"),
        ("models:/nope/latest".to_owned(), "Registered Model with name=nope not found"),
        ("models:/iris@nope".to_owned(), "the registered model `iris` has no alias `nope` on `http://"),
        ("models:/nope@nope".to_owned(), "Registered Model with name=nope not found"),
        ("mlflow-artifacts:/nope".to_owned(), "the server has no files in `http://"),
    ] {
        let error = fetch_error(&uri, &client).await;
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "{uri}: {error}");
        assert!(error.message().contains(message), "{uri}: {error}");
    }
    let server = Arc::new(Mutex::new(Some(server)));
    assert_a_fetch_resumes(&server, &logged).await;
    assert_nothing_is_left(&server, &logged).await;
}

#[tokio::test]
async fn models_in_mlflow_s_files_are_found() {
    let mlruns = TempDir::new().unwrap();
    let root = mlruns.path().join("my runs");
    let url = format!("file:{}", root.display());
    assert!(!FileStore(root.clone()).has_experiments());
    let logged = Logged::log(&url, 1000, true);
    assert!(FileStore(root.clone()).has_experiments());
    for uri_of_root in [url, root.display().to_string()] {
        let client = client(&uri_of_root);
        for (uri, mut theirs) in logged.models() {
            let fetched = Destination::new().fetch(uri, &client).await.unwrap();
            assert!(!fetched.is_downloaded && fetched.path.starts_with(&root), "{uri}: {fetched:?}");
            let mut ours = content(&fetched.path);
            // No file is added to a local model.
            for added in [ADDED, "notes.txt"] {
                ours.remove(added);
                theirs.remove(added);
            }
            assert!(ours == theirs, "{uri}: {:?} {:?}", ours.keys(), theirs.keys());
            let version = match uri {
                "models:/iris/1" => Some("1"),
                "models:/iris@champion" | "models:/iris/latest" => Some("2"),
                _ => None,
            };
            assert_eq!(fetched.version.as_deref(), version, "{uri}");
        }
        let run = logged.name("run_id");
        for (uri, message) in [
            ("runs:/0f/model".to_owned(), "no run `0f` in `/"),
            (format!("runs:/{run}/nope"), "no model at `runs:/"),
            ("models:/m-0f".to_owned(), "no logged model `m-0f` in `/"),
            ("models:/nope/1".to_owned(), "no registered model `nope` in `/"),
            ("models:/iris/3".to_owned(), "no version 3 of the registered model `iris` in `/"),
            (
                "models:/iris/Production".to_owned(),
                "no version in the stage `Production` of the registered model `iris`",
            ),
            ("models:/iris@nope".to_owned(), "no alias `nope` of the registered model `iris` in `/"),
        ] {
            let error = fetch_error(&uri, &client).await;
            assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "{uri}: {error}");
            assert!(error.message().contains(message), "{uri}: {error}");
        }
        let error = fetch_error("mlflow-artifacts:/0", &client).await;
        assert!(error.message().contains("start `mlflow server --backend-store-uri "), "{error}");
    }
    let nowhere = client(root.join("nowhere").to_str().unwrap());
    let error = fetch_error("runs:/0f/model", &nowhere).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().contains("nowhere`: No such file or directory"), "{error}");
}

#[tokio::test]
async fn a_protected_server_requires_the_password() {
    let server = TrackingServer::start_protected();
    let known = server.url().replace("://", &format!("://{USER}:{PASSWORD}@"));
    let logged = Logged::log(&known, 1000, false);
    let options = |password: &str| TrackingOptions {
        username: Some(USER.to_owned()),
        password: Some(Secret::new(password)),
        ..TrackingOptions::default()
    };
    let variables = [("MLFLOW_TRACKING_URI", server.url()), ("MLFLOW_TRACKING_TOKEN", "another-s3cret")];
    let by_environment = [
        ("MLFLOW_TRACKING_URI", server.url()),
        ("MLFLOW_TRACKING_USERNAME", USER),
        ("MLFLOW_TRACKING_PASSWORD", PASSWORD),
    ];
    let run = format!("runs:/{}/model", logged.name("run_id"));
    for (uri, client) in [
        (run.as_str(), tracking(options(PASSWORD), &variables).unwrap()),
        ("models:/iris@champion", tracking(TrackingOptions::default(), &by_environment).unwrap()),
        (logged.name("artifacts"), client(&known)),
    ] {
        let place = Destination::new();
        place.fetch(uri, &client).await.unwrap();
        assert_eq!(fs::metadata(place.path().join("data/data/large")).unwrap().len(), 1000);
    }
    for (uri, client) in [
        (run.as_str(), tracking(options("wrong-s3cret"), &variables).unwrap()),
        ("models:/iris@champion", tracking(TrackingOptions::default(), &variables).unwrap()),
        (logged.name("artifacts"), client(server.url())),
    ] {
        let error = fetch_error(uri, &client).await;
        assert_eq!((error.code(), error.http_status()), (&ErrorCode::UNAUTHENTICATED, Some(401)), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}

/// Asserts that a fetch resumes after the connection was closed, instead of starting over.
async fn assert_a_fetch_resumes(server: &Shared, logged: &Logged) {
    let proxy = Proxy::start(server, false);
    let place = Destination::new();
    place.fetch(&format!("models:/{}", logged.name("model_id")), &client(&proxy.url)).await.unwrap();
    let ours = fs::read(place.path().join("data/data/large")).unwrap();
    assert!(ours == content(&logged.folder.path().join("data"))["large"]);
    let passed = proxy.passed.load(Ordering::SeqCst);
    assert!((LARGE..LARGE + INTERVENE_AFTER / 2).contains(&passed), "{passed} bytes: the download started over");
}

/// Asserts that no files are left if the server is killed during a fetch.
async fn assert_nothing_is_left(server: &Shared, logged: &Logged) {
    let proxy = Proxy::start(server, true);
    let error = fetch_error(&format!("models:/{}", logged.name("model_id")), &client(&proxy.url)).await;
    assert!(server.lock().unwrap().is_none());
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, true), "{error}");
}

/// The size of the large file in a model, in bytes.
const LARGE: usize = 20_000_000;
/// The number of bytes that the proxy forwards before it closes the connection or kills the server.
const INTERVENE_AFTER: usize = 5_000_000;

/// A tracking server that a test can kill.
type Shared = Arc<Mutex<Option<TrackingServer>>>;

/// A proxy before a tracking server. After [`INTERVENE_AFTER`] bytes, it closes the current connection, or kills the
/// server.
struct Proxy {
    url: String,
    passed: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(server: &Shared, kills_server: bool) -> Self {
        let address = server.lock().unwrap().as_ref().unwrap().url().replace("http://", "");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { url: format!("http://{}", listener.local_addr().unwrap()), passed: Arc::default() };
        let (passed, server) = (Arc::clone(&proxy.passed), Arc::clone(server));
        // The thread ends with the test process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(address.trim_end_matches('/')) else { continue };
                let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                let (passed, server) = (Arc::clone(&passed), kills_server.then(|| Arc::clone(&server)));
                thread::spawn(move || forward(&upstream, &client, &passed, server.as_deref()));
            }
        });
        proxy
    }
}

/// Forwards bytes from the server to the client. After [`INTERVENE_AFTER`] bytes, stops, and kills the server in `kill`
/// if there is one.
fn forward(
    mut upstream: &TcpStream,
    mut client: &TcpStream,
    passed: &AtomicUsize,
    kill: Option<&Mutex<Option<TrackingServer>>>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = upstream.read(&mut buffer) {
        let before = passed.fetch_add(count, Ordering::SeqCst);
        if let Some(server) = kill.filter(|_| before + count > INTERVENE_AFTER) {
            drop(server.lock().unwrap().take());
            break;
        }
        let is_enough = before <= INTERVENE_AFTER && before + count > INTERVENE_AFTER;
        if client.write_all(&buffer[..count]).is_err() || is_enough {
            break;
        }
    }
    // The connection may be closed already.
    let _closed = client.shutdown(Shutdown::Both);
}
