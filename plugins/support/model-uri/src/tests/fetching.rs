//! What arrives, and what is left where it does not.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Condvar, Mutex};

use super::*;

/// A model in folders, with names that a URL has to encode.
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
async fn a_model_arrives_whole() {
    let server = model();
    let place = Place::new();
    let fetched = place.fetch("mlflow-artifacts:/0/m", &client(&server.url())).await.unwrap();
    assert_eq!((&fetched.path, fetched.is_downloaded, &fetched.version), (&place.path(), true, &None));
    let found: Vec<_> = content(&place.path()).into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
    let expected = [("MLmodel", 2), ("large", 3_000_000), ("sub dir/a+b%.txt", 3), ("sub dir/チ/unknown length", 3)];
    assert_eq!(found, expected.map(|(name, length)| (name.to_owned(), length)));
    assert!(place.path().join("empty").is_dir());
    // As any folder that this process makes.
    fs::create_dir(place.0.path().join("other")).unwrap();
    let mode = |name: &str| fs::metadata(place.0.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("model"), mode("other"));
}

#[tokio::test]
async fn what_has_no_room_is_not_begun() {
    let huge = json!([file("MLmodel", 2), {"path": "data", "is_dir": false, "file_size": u64::MAX / 2}]);
    let server = artifacts(&[("m", huge)], &[("m/MLmodel", Answer::new(200, "ab"))]);
    let error = refused("mlflow-artifacts:/m", &client(&server.url())).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_EXHAUSTED, "{error}");
    assert!(error.message().contains("bytes, and in `") && error.message().ends_with("make room for it"), "{error}");
    assert_eq!(server.requests().len(), 1, "only the listing was asked for: {:?}", asked(&server));
}

#[tokio::test]
async fn folders_above_the_destination_are_made_and_an_empty_one_is_taken() {
    let server = model();
    let client = client(&server.url());
    let uri = ModelUri::parse("mlflow-artifacts:/0/m").unwrap();
    let place = Place::new();
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
async fn folders_that_were_made_in_vain_are_gone() {
    let server = artifacts(&[("m", json!([file("MLmodel", 2)]))], &[]);
    let client = client(&server.url());
    let place = Place::new();
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
async fn what_is_there_is_left_alone_and_nothing_is_asked() {
    let server = model();
    let client = client(&server.url());
    let uri = ModelUri::parse("mlflow-artifacts:/0/m").unwrap();
    let place = Place::new();
    let path = |name: &str| place.0.path().join(name);
    fs::create_dir(path("full")).unwrap();
    fs::write(path("full/file"), "mine").unwrap();
    fs::write(path("file"), "mine").unwrap();
    symlink(path("nowhere"), path("link")).unwrap();
    for name in ["full", "file", "link"] {
        let error = fetch(&uri, &client, &path(name)).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS, "{error}");
        assert!(error.message().contains(&format!("{name}` exists already")), "{error}");
    }
    for nameless in ["/", "..", ""] {
        let error = fetch(&uri, &client, Path::new(nameless)).await.unwrap_err();
        assert!(!error.message().is_empty(), "{error}");
    }
    assert_eq!(place.left().len(), 3);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_file_that_does_not_come_takes_all_others_with_it() {
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
        let error = refused("mlflow-artifacts:/m", &client(&server.url())).await;
        assert_eq!(error.code().as_str(), code, "{error}");
        assert!(error.message().contains(message) && error.message().contains("/m/data"), "{error}");
    }
}

#[tokio::test]
async fn a_folder_without_a_model_says_what_it_has() {
    let many: Vec<_> = (0..20).map(|number| file(&format!("file{number:02}"), 1)).collect();
    let server = artifacts(&[("a", json!([folder("model"), file("notes.txt", 1)])), ("b", json!(many))], &[]);
    let client = client(&server.url());
    let error = refused("mlflow-artifacts:/a", &client).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().ends_with("/a`, which has `model/`, `notes.txt`"), "{error}");
    let error = refused("mlflow-artifacts:/b", &client).await;
    assert!(error.message().ends_with("`file07`, …"), "{error}");
}

#[tokio::test]
async fn a_model_of_this_machine_stays_where_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a model");
    let client = tracking(TrackingOptions::default(), &[]).unwrap();
    let uri = |scheme: &str| format!("{scheme}{}", path.display());
    let error = refused(&uri(""), &client).await;
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(error.message().contains("there is no folder `/"), "{error}");
    fs::create_dir(&path).unwrap();
    assert!(refused(&uri(""), &client).await.message().contains("there is no file `MLmodel` in `/"));
    fs::write(path.join("MLmodel"), "").unwrap();
    for text in [uri(""), uri("file://").replace(' ', "%20"), uri("file:")] {
        let fetched = Place::new().fetch(&text, &client).await.unwrap();
        assert_eq!((&fetched.path, fetched.is_downloaded), (&path, false));
    }
    let inside = refused(&uri("").replace("a model", "a model/MLmodel"), &client).await;
    assert!(inside.message().contains("is a file, where a folder was expected"), "{inside}");
    let id = refused("m-0123", &client).await;
    assert_eq!(id.message(), "no model at `m-0123`: there is no folder `m-0123`; is `models:/m-0123` meant?");
}

/// Opens once so many have come to it.
#[derive(Default)]
struct Gate(Mutex<usize>, Condvar);

impl Gate {
    fn pass(&self, number: usize) {
        let mut here = self.0.lock().unwrap();
        *here += 1;
        self.1.notify_all();
        let waited = self.1.wait_timeout_while(here, std::time::Duration::from_secs(120), |here| *here < number);
        assert!(!waited.unwrap().1.timed_out(), "the others never came");
    }
}

#[tokio::test]
async fn eight_files_are_under_way_at_a_time() {
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
    Place::new().fetch("mlflow-artifacts:/m", &client(&server.url())).await.unwrap();
}

#[tokio::test]
async fn a_fetch_that_is_given_up_leaves_nothing() {
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
    let place = Place::new();
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
async fn a_time_for_all_of_it_ends_it() {
    let listing = [("m", json!([file("MLmodel", 2)]))];
    let slow = Answer::new(200, "ab").after(std::time::Duration::from_secs(600));
    let server = artifacts(&listing, &[("m/MLmodel", slow)]);
    let options = TrackingOptions {
        tracking_uri: Some(Secret::new(server.url())),
        timeout: Some(0.5),
        ..TrackingOptions::default()
    };
    let error = refused("mlflow-artifacts:/m", &tracking(options, &[]).unwrap()).await;
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
    assert!(error.message().contains("raise `timeout`"), "{error}");
}

#[tokio::test]
async fn a_destination_that_is_taken_meanwhile_is_left_alone() {
    let place = Place::new();
    let destination = place.path();
    let server = Server::answering({
        let destination = destination.clone();
        move |request| {
            if listed(request).is_some() {
                return Answer::new(200, json!({"files": [file("MLmodel", 2)]}).to_string());
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
