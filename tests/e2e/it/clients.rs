//! Tests of the library API: concurrent clients, the async and the blocking client, with and without an async runtime.

use mlflow_deploy::args::{ListEndpoints, Predict};
use mlflow_deploy::{ClientOptions, DeployClient, Error, ErrorCode, Host, JSON, Payload, blocking};
use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

const ECHO: &str = "mlflow-deploy-example-echo";

fn host(package: &str) -> Host {
    Host::builder().search_path([""; 0]).plugin(cdylib::path(package)).build()
}

fn predict(inputs: &Value) -> Predict {
    Predict { endpoint: Some("echo".to_owned()), inputs: Payload::from_json(inputs).unwrap(), ..Predict::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_clients_of_one_target_keep_64_concurrent_calls_apart() {
    let server = Server::answering(|request| {
        let inputs: Value = serde_json::from_slice(&request.body).unwrap();
        Answer::new(200, json!({"inputs": inputs, "authorization": request.header("authorization")}).to_string())
    });
    let (host, url) = (host("mlflow-deploy-gateway"), server.url());
    let mut calls = Vec::new();
    for token in ["one", "two"] {
        let options = ClientOptions::new(&json!({"token": token})).unwrap();
        let client = host.get_deploy_client_with(Some(&url), &options).await.unwrap();
        calls.extend((0..64).map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let inputs = json!({"client": token, "number": number});
                let answer: Value = client.predict(predict(&inputs)).await.unwrap().json().unwrap();
                answer == json!({"inputs": inputs, "authorization": format!("Bearer {token}")})
            })
        }));
    }
    let mut right = 0;
    for call in calls {
        right += usize::from(call.await.unwrap());
    }
    println!("two clients, 64 concurrent calls each: {right} of 128 replies are correct");
    assert_eq!(right, 128);
}

/// Calls a target through the blocking client, without an async runtime.
fn without_async() {
    let client = blocking::DeployClient::from(blocking::wait(host(ECHO).get_deploy_client(Some("echo"))).unwrap());
    // The number of calls exceeds Tokio's cooperative budget, after which a task must yield. A blocking call cannot
    // yield.
    for number in 0..500 {
        assert_eq!(client.predict(predict(&json!(number))).unwrap().json::<i32>().unwrap(), number);
    }
}

#[test]
fn blocking_client_works_without_a_runtime() {
    without_async();
}

#[tokio::test]
async fn blocking_client_works_on_the_only_thread_of_a_runtime() {
    without_async();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn blocking_client_works_in_a_task() {
    tokio::spawn(async { without_async() }).await.unwrap();
}

#[test]
fn async_client_works_without_a_runtime() {
    fn is_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let client: DeployClient = blocking::wait(host(ECHO).get_deploy_client(Some("echo"))).unwrap();
    is_shareable(&client);
    let answer = blocking::wait(client.predict(predict(&json!("hi")))).unwrap();
    assert_eq!((answer.content_type(), answer.bytes()), (JSON, b"\"hi\"".as_slice()));
}

#[test]
fn host_uses_only_its_own_schemes_and_search_path() {
    let allowed = Host::builder().plugin(cdylib::path(ECHO)).allow_schemes(["Echo"]).build();
    assert_eq!(allowed.target(Some("echo://x")).unwrap().manifest().name, "echo");
    let refused = allowed.target(Some("http://localhost")).unwrap_err();
    assert_eq!(refused.code(), &ErrorCode::PERMISSION_DENIED);
    let nothing = Host::builder().search_path(["/nowhere"]).build();
    assert_eq!(nothing.discover().directories.len(), 1);
    assert!(matches!(nothing.target(Some("echo")), Err(Error::NoPlugin(_))));
}

#[test]
fn trusted_plugin_exempts_only_that_file() {
    use std::fs::{Permissions, copy, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.so");
    copy(cdylib::path(ECHO), &file).unwrap();
    set_permissions(&file, Permissions::from_mode(0o777)).unwrap();
    let distrusted = Host::builder().search_path([""; 0]).plugin(&file).build();
    assert!(matches!(distrusted.target(Some("echo")), Err(Error::Load { .. })));
    let trusted = Host::builder().search_path([""; 0]).trusted_plugin(&file).build();
    let client = blocking::wait(trusted.get_deploy_client(Some("echo"))).unwrap();
    assert_eq!(blocking::wait(client.list_endpoints(ListEndpoints {})).unwrap().bytes(), br#"[{"name":"echo"}]"#);
}

#[test]
fn error_contains_all_details() {
    let server = Server::start([Answer::new(503, r#"{"detail": "later"}"#)]);
    let options = ClientOptions::new(&json!({"max_retries": 0})).unwrap();
    let target = server.url();
    let client = blocking::wait(host("mlflow-deploy-gateway").get_deploy_client_with(Some(&target), &options)).unwrap();
    let error = Error::from(blocking::wait(client.predict(predict(&json!({})))).unwrap_err());
    assert_eq!((error.code(), error.http_status()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, Some(503)));
    assert!(error.is_retryable());
    let refused = ClientOptions::new(&json!({"max_retries": 0, "timeout": 5})).unwrap();
    let gone =
        blocking::wait(host("mlflow-deploy-gateway").get_deploy_client_with(Some("http://127.0.0.1:1"), &refused));
    let error = Error::from(blocking::wait(gone.unwrap().predict(predict(&json!({})))).unwrap_err());
    assert!(std::error::Error::source(&error).is_some(), "{error:?}");
}
