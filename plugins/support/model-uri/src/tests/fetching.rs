//! Tests of fetched models, and of the files that failed fetches leave.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Condvar, Mutex};

use super::*;

/// Starts a server with a model in nested folders. The names of its files require encoding.
fn model() -> Server {
    let large = vec![7; 3_000_000];
    artifacts(
        &[
            (
                "0/m",
                json!([
                    file("MLmodel", 2),
                    folder("."),
                    folder("empty"),
                    folder("sub dir"),
                    file("large", large.len())
                ]),
            ),
            ("0/m/sub dir", json!([{"path": "a+b%.txt", "file_size": "3"}, folder("チ")])),
            ("0/m/sub dir/チ", json!([{"path": "unknown length"}])),
        ],
        &[
            ("0/m/MLmodel", Answer::new(200, "ab")),
            ("0/m/large", Answer::new(200, large)),
            ("0/m/sub dir/a+b%.txt", Answer::new(200, "txt")),
            ("0/m/sub dir/チ/unknown length", Answer::new(200, "any")),
        ],
    )
}

#[tokio::test]
async fn fetch_downloads_every_file() {
    let server = model();
    let place = Destination::new();
    let fetched = place.fetch("mlflow-artifacts:/0/m", &client(&server.url())).await.unwrap();
    assert_eq!((&fetched.path, fetched.is_downloaded, &fetched.version), (&place.path(), true, &None));
    let found: Vec<_> = content(&place.path()).into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
    let expected = [("MLmodel", 2), ("large", 3_000_000), ("sub dir/a+b%.txt", 3), ("sub dir/チ/unknown length", 3)];
    assert_eq!(found, expected.map(|(name, length)| (name.to_owned(), length)));
    assert!(place.path().join("empty").is_dir());
    // The permissions are those of any folder that this process creates.
    fs::create_dir(place.0.path().join("other")).unwrap();
    let mode = |name: &str| fs::metadata(place.0.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("model"), mode("other"));
}

#[tokio::test]
async fn a_model_larger_than_the_free_space_is_not_downloaded() {
    let huge = json!([file("MLmodel", 2), {"path": "data", "is_dir": false, "file_size": u64::MAX / 2}]);
    let server = artifacts(&[("m", huge)], &[("m/MLmodel", Answer::new(200, "ab"))]);
    let error = fetch_error("mlflow-artifacts:/m", &client(&server.url())).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_EXHAUSTED, "{error}");
    assert!(error.message().contains("bytes, but `") && error.message().ends_with("free up disk space"), "{error}");
    assert_eq!(server.requests().len(), 1, "only the listing was requested: {:?}", requested(&server));
}

#[tokio::test]
async fn missing_parents_are_created_and_an_empty_destination_is_used() {
    let server = model();
    let client = client(&server.url());
    let uri = ModelUri::parse("mlflow-artifacts:/0/m").unwrap();
    let place = Destination::new();
    for below in ["a/b/model", "empty"] {
        let destination = place.0.path().join(below);
        if below == "empty" {
            fs::create_dir(&destination).unwrap();
        }
        fetch(&uri, &client, &destination).await.unwrap();
        assert!(destination.join("MLmodel").is_file());
        assert_eq!(fs::read_dir(destination.parent().unwrap()).unwrap().count(), if below == "empty" { 2 } else { 1 });
    }
}

#[tokio::test]
async fn created_parents_are_removed_after_a_failure() {
    let server = artifacts(&[("m", json!([file("MLmodel", 2)]))], &[]);
    let client = client(&server.url());
    let place = Destination::new();
    fs::create_dir(place.0.path().join("mine")).unwrap();
    for uri in ["mlflow-artifacts:/m", "mlflow-artifacts:/nothing"] {
        let uri = ModelUri::parse(uri).unwrap();
        let error = fetch(&uri, &client, &place.0.path().join("mine/a/b/model")).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "{error}");
        assert_eq!(fs::read_dir(place.0.path().join("mine")).unwrap().count(), 0);
    }
    assert_eq!(place.left(), ["mine"]);
}

#[tokio::test]
async fn an_existing_destination_is_kept_and_no_request_is_sent() {
    let server = model();
    let client = client(&server.url());
    let uri = ModelUri::parse("mlflow-artifacts:/0/m").unwrap();
    let place = Destination::new();
    let path = |name: &str| place.0.path().join(name);
    fs::create_dir(path("full")).unwrap();
    fs::write(path("full/file"), "mine").unwrap();
    fs::write(path("file"), "mine").unwrap();
    symlink(path("nowhere"), path("link")).unwrap();
    for name in ["full", "file", "link"] {
        let error = fetch(&uri, &client, &path(name)).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS, "{error}");
        assert!(error.message().contains(&format!("{name}` already exists")), "{error}");
    }
    for nameless in ["/", "..", ""] {
        let error = fetch(&uri, &client, Path::new(nameless)).await.unwrap_err();
        assert!(!error.message().is_empty(), "{error}");
    }
    assert_eq!(place.left().len(), 3);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_fetch_fails_if_one_file_fails() {
    let listing = [("m", json!([file("MLmodel", 2), file("data", 5)]))];
    let whole = ("m/MLmodel", Answer::new(200, "ab"));
    for (data, code, message) in [
        (Answer::new(404, "{}"), "RESOURCE_DOES_NOT_EXIST", "404 Client Error: Not Found for url"),
        (
            Answer::new(200, "da").declared_length(5),
            "TEMPORARILY_UNAVAILABLE",
            "broke before the response was complete",
        ),
        (Answer::new(200, "longer"), "INTERNAL_ERROR", "has 6 bytes or more, but 5 were expected"),
        (Answer::new(200, "less"), "INTERNAL_ERROR", "has 4 bytes or more, but 5 were expected"),
        (Answer::dropped(), "TEMPORARILY_UNAVAILABLE", "broke before the response was complete"),
        (Answer::status(503), "TEMPORARILY_UNAVAILABLE", "gave up after 2 attempts"),
    ] {
        let server = artifacts(&listing, &[whole.clone(), ("m/data", data)]);
        let error = fetch_error("mlflow-artifacts:/m", &client(&server.url())).await;
        assert_eq!(error.code().as_str(), code, "{error}");
        assert!(error.message().contains(message) && error.message().contains("/m/data"), "{error}");
    }
}

#[tokio::test]
async fn an_error_lists_the_content_of_a_folder_without_a_model() {
    let many: Vec<_> = (0..20).map(|number| file(&format!("file{number:02}"), 1)).collect();
    let server = artifacts(&[("a", json!([folder("model"), file("notes.txt", 1)])), ("b", json!(many))], &[]);
    let client = client(&server.url());
    let error = fetch_error("mlflow-artifacts:/a", &client).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().ends_with("/a`, which contains `model/`, `notes.txt`"), "{error}");
    let error = fetch_error("mlflow-artifacts:/b", &client).await;
    assert!(error.message().ends_with("`file07`, …"), "{error}");
}

#[tokio::test]
async fn a_local_model_is_not_copied() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a model");
    let client = tracking(TrackingOptions::default(), &[]).unwrap();
    let uri = |scheme: &str| format!("{scheme}{}", path.display());
    let error = fetch_error(&uri(""), &client).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().contains("a model` not found"), "{error}");
    fs::create_dir(&path).unwrap();
    assert!(fetch_error(&uri(""), &client).await.message().ends_with("a model` contains no file `MLmodel`"));
    fs::write(path.join("MLmodel"), "").unwrap();
    for text in [uri(""), uri("file://").replace(' ', "%20"), uri("file:")] {
        let fetched = Destination::new().fetch(&text, &client).await.unwrap();
        assert_eq!((&fetched.path, fetched.is_downloaded), (&path, false));
    }
    let inside = fetch_error(&uri("").replace("a model", "a model/MLmodel"), &client).await;
    assert!(inside.message().contains("is a file, but a folder was expected"), "{inside}");
    let id = fetch_error("m-0123", &client).await;
    assert_eq!(id.message(), "no model at `m-0123`: folder `m-0123` not found; did you mean `models:/m-0123`?");
}

/// Blocks threads until a given number of threads have arrived.
#[derive(Default)]
struct Gate(Mutex<usize>, Condvar);

impl Gate {
    fn pass(&self, number: usize) {
        let mut arrived = self.0.lock().unwrap();
        *arrived += 1;
        self.1.notify_all();
        let waited =
            self.1.wait_timeout_while(arrived, std::time::Duration::from_secs(120), |arrived| *arrived < number);
        assert!(!waited.unwrap().1.timed_out(), "the other threads did not arrive");
    }
}

#[tokio::test]
async fn eight_files_are_downloaded_concurrently() {
    let gate = Arc::new(Gate::default());
    let files: Vec<_> = ["MLmodel", "a", "b", "c", "d", "e", "f", "g"].iter().map(|name| file(name, 1)).collect();
    let listing = json!({"files": files}).to_string();
    let server = Server::answering({
        let gate = Arc::clone(&gate);
        move |request| {
            if listed(request).is_some() {
                return Answer::new(200, listing.clone());
            }
            gate.pass(8);
            Answer::new(200, "x")
        }
    });
    Destination::new().fetch("mlflow-artifacts:/m", &client(&server.url())).await.unwrap();
}

#[tokio::test]
async fn a_dropped_fetch_leaves_no_files() {
    let begun = Arc::new(tokio::sync::Notify::new());
    let server = Server::answering({
        let begun = Arc::clone(&begun);
        move |request| {
            if listed(request).is_some() {
                return Answer::new(200, json!({"files": [file("MLmodel", 2), file("slow", 9)]}).to_string());
            }
            if request.path.ends_with("slow") {
                begun.notify_one();
                return Answer::new(200, "slow").after(std::time::Duration::from_secs(600));
            }
            Answer::new(200, "ab")
        }
    });
    let place = Destination::new();
    let client = client(&server.url());
    let uri = ModelUri::parse("mlflow-artifacts:/m").unwrap();
    let destination = place.path();
    tokio::select! {
        fetched = fetch(&uri, &client, &destination) => panic!("{fetched:?}"),
        () = begun.notified() => {}
    }
    assert!(place.left().is_empty(), "{:?}", place.left());
}

#[tokio::test]
async fn the_timeout_covers_the_whole_fetch() {
    let listing = [("m", json!([file("MLmodel", 2)]))];
    let slow = Answer::new(200, "ab").after(std::time::Duration::from_secs(600));
    let server = artifacts(&listing, &[("m/MLmodel", slow)]);
    let options = TrackingOptions {
        tracking_uri: Some(Secret::new(server.url())),
        timeout: Some(0.5),
        ..TrackingOptions::default()
    };
    let error = fetch_error("mlflow-artifacts:/m", &tracking(options, &[]).unwrap()).await;
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
    assert!(error.message().contains("raise `timeout`"), "{error}");
}

#[tokio::test]
async fn a_destination_created_during_the_fetch_is_kept() {
    let place = Destination::new();
    let destination = place.path();
    let server = Server::answering({
        let destination = destination.clone();
        move |request| {
            if listed(request).is_some() {
                return Answer::new(200, json!({"files": [file("MLmodel", 2)]}).to_string());
            }
            if !request.path.ends_with("MLmodel") {
                return Answer::status(404);
            }
            fs::create_dir(&destination).unwrap();
            fs::write(destination.join("theirs"), "first").unwrap();
            Answer::new(200, "ab")
        }
    });
    let uri = ModelUri::parse("mlflow-artifacts:/m").unwrap();
    let error = fetch(&uri, &client(&server.url()), &destination).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS);
    assert_eq!((place.left(), fs::metadata(destination.join("theirs")).unwrap().size()), (vec!["model".to_owned()], 5));
}
