//! Tests of malicious servers, whose listings are rejected if they leave the model's folder or are endless.

use super::*;

/// Fetches a model with an invalid listing. Returns the error.
async fn listing_error(files: Value) -> Error {
    let server = artifacts(&[("m", files)], &[("m/MLmodel", Answer::new(200, "ab"))]);
    let error = fetch_error("mlflow-artifacts:/m", &client(&server.url())).await;
    let files = server.requests().iter().filter(|request| listed(request).is_none()).count();
    assert_eq!(files, 0, "no file of an invalid listing is requested");
    error
}

#[tokio::test]
async fn a_name_that_leads_out_of_the_folder_is_rejected() {
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
            let error = listing_error(json!([file("MLmodel", 2), entry])).await;
            assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
            assert!(error.message().starts_with("invalid listing of `http://127.0.0.1:"), "{name:?}: {error}");
            assert!(!error.message().contains(char::is_control), "{error}");
        }
    }
    let error = listing_error(json!([file("MLmodel", 2), file(".", 1)])).await;
    assert!(error.message().contains("`.` in its path would lead out of the folder"), "{error}");
}

#[tokio::test]
async fn a_duplicate_name_is_rejected() {
    for entry in [file("MLmodel", 2), folder("MLmodel")] {
        let error = listing_error(json!([file("MLmodel", 2), entry])).await;
        assert!(error.message().ends_with("duplicate name `MLmodel`"), "{error}");
    }
}

#[tokio::test]
async fn names_that_differ_only_in_case_are_two_files_or_an_error() {
    let server = artifacts(
        &[("m", json!([file("MLmodel", 2), file("mlmodel", 2)]))],
        &[("m/MLmodel", Answer::new(200, "ab")), ("m/mlmodel", Answer::new(200, "cd"))],
    );
    let place = Destination::new();
    match place.fetch("mlflow-artifacts:/m", &client(&server.url())).await {
        Ok(_) => assert_eq!(content(&place.path()).into_values().collect::<Vec<_>>(), [b"ab", b"cd"]),
        // The file system ignores case.
        Err(error) => assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS),
    }
}

#[tokio::test]
async fn too_many_nested_folders_or_files_are_rejected() {
    let deeper =
        Server::answering(|_| Answer::new(200, json!({"files": [file("MLmodel", 2), folder("a")]}).to_string()));
    let error = fetch_error("mlflow-artifacts:/m", &client(&deeper.url())).await;
    assert!(error.message().ends_with("more than 64 nested folders"), "{error}");
    let many: Vec<_> = (0..100_001).map(|number| file(&number.to_string(), 0)).collect();
    let error = listing_error(json!(many)).await;
    assert!(error.message().contains("more than 100000 files"), "{error}");
}

#[tokio::test]
async fn a_malformed_listing_is_an_error() {
    for answer in [
        "{\"files\": 1}",
        "nonsense",
        "{\"files\": [{\"is_dir\": true}]}",
        "{\"files\": [{\"path\": \"a\", \"file_size\": -1}]}",
    ] {
        let server = Server::start([Answer::new(200, answer)]);
        let error = fetch_error("mlflow-artifacts:/m", &client(&server.url())).await;
        assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
        assert!(error.message().contains("did not answer with a listing of `"), "{answer}: {error}");
    }
    let page = Answer::new(200, "<!doctype html><title>Sign in</title>").header("Content-Type", "text/html");
    let server = Server::start([page]);
    let error = fetch_error("mlflow-artifacts:/m", &client(&server.url())).await;
    assert!(error.message().contains("a web page titled `Sign in`"), "{error}");
}

#[tokio::test]
async fn an_endless_file_is_an_error() {
    let chunks = Answer::chunks((0..1000).map(|_| vec![0; 10_000]));
    let server = artifacts(&[("m", json!([file("MLmodel", 5)]))], &[("m/MLmodel", chunks)]);
    let error = fetch_error("mlflow-artifacts:/m", &client(&server.url())).await;
    assert!(error.message().contains("but 5 were expected"), "{error}");
}

#[tokio::test]
async fn a_redirect_to_another_server_is_not_followed() {
    let other = Server::start([Answer::new(200, json!({"files": [file("MLmodel", 2)]}).to_string())]);
    let server = Server::start([Answer::status(307).header("Location", &other.url())]);
    let error = fetch_error("mlflow-artifacts:/m", &client(&server.url())).await;
    assert!(error.message().contains("to another origin"), "{error}");
    assert!(other.requests().is_empty());
}
