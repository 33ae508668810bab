//! Servers that mean no good: nothing that they list is outside of the folder, or without an end.

use super::*;

/// The error of a listing that is refused.
async fn listing(files: Value) -> Error {
    let server = artifacts(&[("m", files)], &[("m/MLmodel", Answer::new(200, "ab"))]);
    let error = refused("mlflow-artifacts:/m", &client(&server.url())).await;
    let files = server.requests().iter().filter(|request| listed(request).is_none()).count();
    assert_eq!(files, 0, "nothing is fetched by a listing that is refused");
    error
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    for name in [
        "..",
        "../evil",
        "a/../../evil",
        "/etc/passwd",
        "/",
        "",
        "a/b",
        "a\0b",
        "evil\n",
        "\u{1b}[2Jevil",
        &"x".repeat(300),
    ] {
        for entry in [file(name, 1), folder(name)] {
            let error = listing(json!([file("MLmodel", 2), entry])).await;
            assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
            assert!(error.message().contains("/m` is refused: "), "{name:?}: {error}");
            assert!(!error.message().contains(char::is_control), "{error}");
        }
    }
    let error = listing(json!([file("MLmodel", 2), file(".", 1)])).await;
    assert!(error.message().contains("`.` in its path would lead elsewhere"), "{error}");
}

#[tokio::test]
async fn no_name_is_there_twice() {
    for entry in [file("MLmodel", 2), folder("MLmodel")] {
        let error = listing(json!([file("MLmodel", 2), entry])).await;
        assert!(error.message().ends_with("`MLmodel` is in it twice"), "{error}");
    }
}

#[tokio::test]
async fn names_that_differ_in_case_alone_are_two_or_an_error() {
    let server = artifacts(
        &[("m", json!([file("MLmodel", 2), file("mlmodel", 2)]))],
        &[("m/MLmodel", Answer::new(200, "ab")), ("m/mlmodel", Answer::new(200, "cd"))],
    );
    let place = Place::new();
    match place.fetch("mlflow-artifacts:/m", &client(&server.url())).await {
        Ok(_) => assert_eq!(content(&place.path()).into_values().collect::<Vec<_>>(), [b"ab", b"cd"]),
        // A file system that takes them for one.
        Err(error) => assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS),
    }
}

#[tokio::test]
async fn folders_end_somewhere() {
    let deeper =
        Server::answering(|_| Answer::new(200, json!({"files": [file("MLmodel", 2), folder("a")]}).to_string()));
    let error = refused("mlflow-artifacts:/m", &client(&deeper.url())).await;
    assert!(error.message().ends_with("there are more than 64 folders in each other"), "{error}");
    let many: Vec<_> = (0..100_001).map(|number| file(&number.to_string(), 0)).collect();
    let error = listing(json!(many)).await;
    assert!(error.message().ends_with("there are more than 100000 files"), "{error}");
}

#[tokio::test]
async fn what_is_no_listing_is_refused() {
    for answer in [
        "{\"files\": 1}",
        "nonsense",
        "{\"files\": [{\"is_dir\": true}]}",
        "{\"files\": [{\"path\": \"a\", \"file_size\": -1}]}",
    ] {
        let server = Server::start([Answer::new(200, answer)]);
        let error = refused("mlflow-artifacts:/m", &client(&server.url())).await;
        assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
        assert!(error.message().contains("did not answer with a listing of `"), "{answer}: {error}");
    }
    let page = Answer::new(200, "<!doctype html><title>Sign in</title>").header("Content-Type", "text/html");
    let server = Server::start([page]);
    let error = refused("mlflow-artifacts:/m", &client(&server.url())).await;
    assert!(error.message().contains("a web page titled `Sign in`"), "{error}");
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let chunks = Answer::chunks((0..1000).map(|_| vec![0; 10_000]));
    let server = artifacts(&[("m", json!([file("MLmodel", 5)]))], &[("m/MLmodel", chunks)]);
    let error = refused("mlflow-artifacts:/m", &client(&server.url())).await;
    assert!(error.message().contains("but 5 were expected"), "{error}");
}

#[tokio::test]
async fn a_server_that_leads_elsewhere_is_not_followed() {
    let other = Server::start([Answer::new(200, json!({"files": [file("MLmodel", 2)]}).to_string())]);
    let server = Server::start([Answer::status(307).header("Location", &other.url())]);
    let error = refused("mlflow-artifacts:/m", &client(&server.url())).await;
    assert!(error.message().contains("to another origin"), "{error}");
    assert!(other.requests().is_empty());
}
