//! Tests of downloads, which either write a complete file or fail.

use std::path::PathBuf;
use std::sync::Mutex;

use mlflow_deploy_plugin_api::ErrorCode;
use tempfile::TempDir;

use super::*;
use crate::download;

/// The result of a download in a test: the length, the file's content, the number of requests, and the reported
/// progress.
struct Download {
    length: Result<u64>,
    content: Vec<u8>,
    requests: usize,
    received: Vec<u64>,
}

async fn get_file(answers: impl IntoIterator<Item = Answer>, length: Option<u64>) -> Download {
    let folder = TempDir::new().unwrap();
    let server = Server::start(answers);
    let received = Mutex::new(Vec::new());
    let path = folder.path().join("file");
    let note = |count| received.lock().unwrap().push(count);
    let client = Client::new(Connection::default());
    let sent = request(Method::GET, &format!("{}/p?q=1", server.url()));
    let length = download(&client, &sent, &policy(), &path, length, note).await;
    length.as_ref().err().iter().for_each(|error| assert_no_secret(error));
    let received = received.into_inner().unwrap();
    Download { length, content: std::fs::read(path).unwrap(), requests: server.requests().len(), received }
}

#[tokio::test]
async fn a_download_writes_the_response() {
    // Larger than the queue and every buffer.
    let large: Vec<u8> = (0..8_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    for body in [Vec::new(), b"a".to_vec(), large] {
        let length = body.len() as u64;
        let ran = get_file([Answer::new(200, body.clone())], Some(length)).await;
        assert_eq!((ran.length.unwrap(), ran.requests), (length, 1));
        assert!(ran.content == body, "{length}");
        assert!(ran.received.is_sorted() && ran.received.first() == Some(&0), "{:?}", ran.received.len());
        assert_eq!(ran.received.last(), Some(&length));
    }
    let page = Answer::new(200, "<!doctype html><title>A plot</title>").header("Content-Type", "text/html");
    assert_eq!(get_file([page], None).await.length.unwrap(), 36);
}

#[tokio::test]
async fn a_retry_without_an_etag_starts_over() {
    let broken = || Answer::new(200, "a beginning that is much longer").declared_length(100);
    let ran = get_file([broken(), Answer::status(503), Answer::new(200, "whole")], None).await;
    assert_eq!((ran.length.unwrap(), ran.content, ran.requests), (5, b"whole".to_vec(), 3));
    assert_eq!(ran.received, [0, 31, 0, 5]);

    let ran = get_file([broken()], None).await;
    let error = ran.length.unwrap_err();
    assert_eq!((error.code(), error.is_retryable(), ran.requests), (&ErrorCode::TEMPORARILY_UNAVAILABLE, true, 3));
}

#[tokio::test]
async fn a_retry_requests_only_the_rest_of_the_same_file() {
    let broken = |etag: &str| Answer::new(200, "the begin").declared_length(16).header("ETag", etag);
    let rest = |range: &str| Answer::new(206, "ning, ").header("ETag", "\"1\"").header("Content-Range", range);
    let whole = || Answer::new(200, "another content!");
    // Each case has the two responses, true if the second request has a range, and the resulting file.
    for (first, second, has_range, content) in [
        (
            broken("\"1\""),
            Answer::new(206, "ning...").header("Content-Range", "bytes 9-15/16"),
            true,
            "the beginning...",
        ),
        (broken("\"1\""), whole(), true, "another content!"),
        (broken("W/\"1\""), whole(), false, "another content!"),
    ] {
        let folder = TempDir::new().unwrap();
        let server = Server::start([first, second]);
        let path = folder.path().join("file");
        let client = Client::new(Connection::default());
        let sent = request(Method::GET, &server.url());
        let received = Mutex::new(Vec::new());
        let note = |count| received.lock().unwrap().push(count);
        assert_eq!(download(&client, &sent, &policy(), &path, Some(16), note).await, Ok(16));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        let start = if content.starts_with("the") { 9 } else { 0 };
        assert_eq!(received.into_inner().unwrap(), [0, 9, start, 16]);
        let requests = server.requests();
        assert_eq!((requests[0].header("range"), requests[0].header("if-range")), (None, None));
        let expected = if has_range { (Some("bytes=9-"), Some("\"1\"")) } else { (None, None) };
        assert_eq!((requests[1].header("range"), requests[1].header("if-range")), expected);
        assert_eq!(requests[1].header("authorization"), requests[0].header("authorization"));
    }
    // A part of the rest is accepted, and another range is rejected.
    let parts = [
        broken("\"1\""),
        rest("bytes 9-15/16").declared_length(7),
        Answer::new(206, ".").header("Content-Range", "bytes 15-15/16"),
    ];
    let ran = get_file(parts, Some(16)).await;
    assert_eq!((ran.length.unwrap(), ran.content.as_slice()), (16, b"the beginning, .".as_slice()));
    for range in ["bytes 8-14/16", "bytes */16", "nonsense"] {
        let ran = get_file([broken("\"1\""), rest(range).declared_length(7)], Some(16)).await;
        assert!(ran.length.unwrap_err().message().contains("a part of the file that was not requested"));
    }
    let unrequested = Answer::new(206, "all").header("Content-Range", "bytes 0-2/3");
    assert!(get_file([unrequested], Some(3)).await.length.unwrap_err().message().contains("not requested"));
}

#[tokio::test]
async fn the_length_is_checked_without_a_content_length() {
    let unannounced = |body: &str| Answer::from_script(&serde_json::json!({"body": body, "no_length": true}));
    let ran = get_file([unannounced("who"), unannounced("whole")], Some(5)).await;
    assert_eq!((ran.length.unwrap(), ran.content, ran.requests), (5, b"whole".to_vec(), 2));
    let ran = get_file([unannounced("who")], Some(5)).await;
    let error = ran.length.unwrap_err();
    assert!(error.message().contains("/p` ended after 3 of 5 bytes; gave up after 3 attempts"), "{error}");
}

#[tokio::test]
async fn a_connection_lost_after_the_last_byte_succeeds() {
    let answer = Answer::chunks(["wh", "ole"]).header("ETag", "\"1\"").abort_after_chunks();
    let ran = get_file([answer, Answer::status(416)], Some(5)).await;
    assert_eq!((ran.length.unwrap(), ran.content, ran.requests), (5, b"whole".to_vec(), 1));
}

#[tokio::test]
async fn an_unexpected_length_is_not_retried() {
    let chunks = || Answer::chunks(["too", " long", " by", " far"]);
    for answer in [Answer::new(200, "too long"), Answer::new(200, "no"), chunks()] {
        let ran = get_file([answer], Some(5)).await;
        let error = ran.length.unwrap_err();
        assert_eq!((error.code(), ran.requests), (&ErrorCode::INTERNAL_ERROR, 1), "{error}");
        assert!(error.message().contains("but 5 were expected"), "{error}");
        assert!(ran.content.len() <= 5, "no more is written than expected");
    }
}

#[tokio::test]
async fn an_error_response_is_not_written() {
    let ran = get_file([Answer::new(404, "{\"message\": \"no such file\"}")], None).await;
    let error = ran.length.unwrap_err();
    assert_eq!((error.code(), ran.content.len()), (&ErrorCode::RESOURCE_DOES_NOT_EXIST, 0));
    assert!(error.message().ends_with("/p: no such file"), "{error}");
}

#[tokio::test]
async fn an_existing_path_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let server = Server::start([Answer::new(200, "new")]);
    let client = Client::new(Connection::default());
    let sent = request(Method::GET, &server.url());
    let target = folder.path().join("target");
    std::fs::write(&target, "old").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
    for taken in [&target, &link] {
        let error = download(&client, &sent, &policy(), taken, None, |_| {}).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_ALREADY_EXISTS, "{error}");
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "old");
    let nowhere: PathBuf = folder.path().join("no/file");
    let error = download(&client, &sent, &policy(), &nowhere, None, |_| {}).await.unwrap_err();
    assert!(error.message().contains("failed to create `") && error.message().contains("No such file"), "{error}");
    assert!(server.requests().is_empty());
}
