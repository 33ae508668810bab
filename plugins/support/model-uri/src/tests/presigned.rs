//! Tests of faulty servers that sign URLs, and of faulty storages. The tests in `tests/e2e` use a real server.

use super::*;

/// The number of bytes of a file that a storage sends before it closes the connection.
const HALF: usize = 1000;

/// Starts a server that signs URLs. `info` is the response with the server's information. `signed` contains the
/// responses with signed URLs, in order, of which the last one repeats.
fn signing(info: Answer, signed: Vec<Answer>) -> Server {
    let turns = std::sync::atomic::AtomicUsize::new(0);
    Server::answering(move |request| {
        if listed(request).is_some() {
            return Answer::new(200, json!({"files": [file("MLmodel", 2 * HALF)]}).to_string());
        }
        if request.path.ends_with("/mlflow/server-info") {
            return info.clone();
        }
        if request.path.contains("/mlflow-artifacts/presigned/") {
            let turn = turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return signed[turn.min(signed.len() - 1)].clone();
        }
        refusal()
    })
}

/// Returns the response with which MLflow 3.18 refuses to send a file.
fn refusal() -> Answer {
    let body = json!({"error_code": "PERMISSION_DENIED", "message": "upgrade", "artifacts_presigned_only": true});
    Answer::new(403, body.to_string())
}

fn required() -> Answer {
    Answer::new(200, json!({"artifacts_presigned_only": true}).to_string())
}

fn url(storage: &Server, signature: &str) -> Answer {
    let url = format!("{}/bucket/key?X-Amz-Expires=300&X-Amz-Signature={signature}", storage.url());
    Answer::new(
        200,
        json!({"url": url, "headers": {"x-amz-request-payer": "requester"}, "file_size": 2000}).to_string(),
    )
}

fn expired() -> Answer {
    let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    Answer::new(403, body).header("Content-Type", "application/xml")
}

/// Returns a client with a token, which the storage must not receive.
fn with_token(server: &Server) -> Tracking {
    let options = TrackingOptions {
        tracking_uri: Some(Secret::new(server.url())),
        token: Some(Secret::new("s3cret-token")),
        ..TrackingOptions::default()
    };
    tracking(options, &[("MLFLOW_WORKSPACE", "mine")]).unwrap()
}

fn signings(server: &Server) -> usize {
    requested(server).iter().filter(|request| request.contains("/presigned/m/MLmodel")).count()
}

#[tokio::test]
async fn an_expired_url_is_replaced_and_the_file_continues() {
    let half = Answer::new(200, vec![1; HALF]).declared_length(2 * HALF as u64).header("ETag", "\"v1\"");
    let rest = Answer::new(206, vec![2; HALF])
        .header("Content-Range", &format!("bytes {HALF}-{}/{}", 2 * HALF - 1, 2 * HALF))
        .header("ETag", "\"v1\"");
    let storage = Server::start([half, expired(), rest]);
    let [first, second] = ["a-signature-that-expires", "a-signature-that-is-fresh"].map(|name| url(&storage, name));
    let server = signing(required(), vec![first, second]);
    let place = Destination::new();
    place.fetch("mlflow-artifacts:/m", &with_token(&server)).await.unwrap();
    assert_eq!(fs::read(place.path().join("MLmodel")).unwrap(), [vec![1; HALF], vec![2; HALF]].concat());
    assert_eq!(signings(&server), 2);
    let asked = storage.requests();
    let ranges: Vec<_> = asked.iter().map(|request| request.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=1000-"), Some("bytes=1000-")]);
    assert!(asked[1].path.ends_with("expires") && asked[2].path.ends_with("fresh"), "{asked:?}");
    for request in asked {
        assert_eq!((request.header("authorization"), request.header("x-mlflow-workspace")), (None, None));
        assert_eq!(request.header("x-amz-request-payer"), Some("requester"));
    }
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some("Bearer s3cret-token")));
}

#[tokio::test]
async fn a_storage_that_refuses_a_fresh_url_is_asked_twice_and_the_signature_is_not_printed() {
    let storage = Server::start([expired()]);
    let server = signing(required(), vec![url(&storage, "5ecret-5ignature-of-a-url")]);
    let error = fetch_error("mlflow-artifacts:/m", &with_token(&server)).await;
    assert_eq!((error.http_status(), signings(&server), storage.requests().len()), (Some(403), 2, 2), "{error}");
    assert!(error.message().contains("Request has expired") && error.message().contains("/bucket/key"), "{error}");
    assert!(!format!("{error:?}").contains("5ecret"), "{error:?}");
}

#[tokio::test]
async fn a_server_without_information_is_understood_by_its_refusal() {
    for info in [Answer::status(404), Answer::status(500), Answer::new(200, "<html>"), Answer::new(200, "[]")] {
        let storage = Server::start([Answer::new(200, vec![1; 2 * HALF])]);
        let server = signing(info, vec![url(&storage, "any")]);
        Destination::new().fetch("mlflow-artifacts:/m", &with_token(&server)).await.unwrap();
        assert_eq!((signings(&server), storage.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_server_that_sends_files_is_not_asked_to_sign() {
    for info in [json!({"artifacts_presigned_only": false, "multipart_downloads_enabled": true}), json!({})] {
        let server = Server::answering(move |request| match request.path.as_str() {
            path if listed(request).is_some() => {
                Answer::new(200, json!({"files": [file("MLmodel", path.len().min(2))]}).to_string())
            }
            path if path.ends_with("/api/3.0/mlflow/server-info") => Answer::new(200, info.to_string()),
            path if path.ends_with("/artifacts/m/MLmodel") => Answer::new(200, "ab"),
            _ => Answer::status(500),
        });
        Destination::new().fetch("mlflow-artifacts:/m", &with_token(&server)).await.unwrap();
        assert_eq!(server.requests().len(), 3, "{:?}", requested(&server));
    }
}

#[tokio::test]
async fn an_invalid_signed_url_is_an_error() {
    for (answer, said) in [
        (json!({"url": "file:///etc/passwd"}), "`file:///etc/passwd` is neither `http` nor `https`"),
        (json!({"url": "/bucket/key"}), "signed an invalid URL for `MLmodel`"),
        (json!({"headers": {}}), "did not answer with a signed URL"),
        (json!({"url": "http://127.0.0.1:9/", "headers": {"a b": "c"}}), "`a b` is not a valid header name"),
        (json!({"url": "http://127.0.0.1:9/", "headers": {"a": "b\r\nc"}}), "a character that a header cannot contain"),
    ] {
        let server = signing(required(), vec![Answer::new(200, answer.to_string())]);
        let error = fetch_error("mlflow-artifacts:/m", &with_token(&server)).await;
        assert!(error.message().contains(said), "{error}");
    }
    // The error contains the server's own words.
    let body = json!({"error_code": "NOT_IMPLEMENTED", "message": "LocalArtifactRepository cannot sign"}).to_string();
    let server = signing(required(), vec![Answer::new(501, body)]);
    let error = fetch_error("mlflow-artifacts:/m", &with_token(&server)).await;
    assert!(error.message().contains("LocalArtifactRepository cannot sign"), "{error}");
}
