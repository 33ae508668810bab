//! The library as programs use it: many clients at once, async and blocking, and where they may be used.

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
async fn two_clients_of_one_target_do_not_mix_up_64_calls_each() {
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
    println!("two clients, 64 calls each at once: {right} of 128 answers are the caller's own");
    assert_eq!(right, 128);
}

/// All of a program's business with one target, without `async`.
fn without_async() {
    let client = blocking::DeployClient::from(blocking::wait(host(ECHO).get_deploy_client(Some("echo"))).unwrap());
    // More calls than a task of a runtime may make before it has to yield, which a blocking call cannot.
    for number in 0..500 {
        assert_eq!(client.predict(predict(&json!(number))).unwrap().json::<i32>().unwrap(), number);
    }
}

#[test]
fn the_blocking_client_works_without_a_runtime() {
    without_async();
}

#[tokio::test]
async fn the_blocking_client_works_on_the_only_thread_of_a_runtime() {
    without_async();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_blocking_client_works_in_a_task() {
    tokio::spawn(async { without_async() }).await.unwrap();
}

#[test]
fn the_async_client_needs_no_runtime() {
    fn is_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let client: DeployClient = blocking::wait(host(ECHO).get_deploy_client(Some("echo"))).unwrap();
    is_shareable(&client);
    let answer = blocking::wait(client.predict(predict(&json!("hi")))).unwrap();
    assert_eq!((answer.content_type(), answer.bytes()), (JSON, b"\"hi\"".as_slice()));
}

#[test]
fn a_host_serves_the_schemes_that_it_is_to_and_its_own_path_only() {
    let allowed = Host::builder().plugin(cdylib::path(ECHO)).allow_schemes(["Echo"]).build();
    assert_eq!(allowed.target(Some("echo://x")).unwrap().manifest().name, "echo");
    let refused = allowed.target(Some("http://localhost")).unwrap_err();
    assert_eq!(refused.code(), &ErrorCode::PERMISSION_DENIED);
    let nothing = Host::builder().search_path(["/nowhere"]).build();
    assert_eq!(nothing.discover().directories.len(), 1);
    assert!(matches!(nothing.target(Some("echo")), Err(Error::NoPlugin(_))));
}

#[test]
fn a_file_is_trusted_where_the_program_says_so_and_only_that_file() {
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
fn an_error_says_all_it_knows() {
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
