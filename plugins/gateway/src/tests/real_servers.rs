//! Tests the client with MLflow's own servers: a standalone gateway, and a tracking server with an embedded gateway.

use mlflow_deploy_test_support::peers::{Gateway as Standalone, PASSWORD, TrackingServer, USER};

use super::*;

/// Checks every operation of the client on the gateway at `url`, which serves the test endpoints `chat`, `chat-locked`
/// and `embeddings`.
async fn check(url: &str, options: Value) {
    let client = || gateway(url, &options, &[]).unwrap();
    let records: Vec<Value> = client().list_endpoints(ListEndpoints::all()).await.unwrap().json().unwrap();
    let names: Vec<_> = records.iter().map(|record| record["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"chat") && names.contains(&"embeddings"), "{names:?}");
    let record = |name: &str| GetEndpoint::new(name);
    let chat: Value = client().get_endpoint(record("chat")).await.unwrap().json().unwrap();
    assert_eq!(chat["name"], "chat");
    assert_eq!(client().get_endpoint(record("nope")).await.unwrap_err().code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);

    let request = |endpoint: &str, content: &str| {
        let inputs = Payload::from_json(&json!({"messages": [{"role": "user", "content": content}]})).unwrap();
        Predict { inputs, ..predict(endpoint) }
    };
    let reply: Value = client().predict(request("chat", "hello")).await.unwrap().json().unwrap();
    assert_eq!(reply["choices"][0]["message"]["content"], "Hello from upstream.");
    let unknown = client().predict(request("nope", "hello")).await.unwrap_err();
    assert_eq!(unknown.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(unknown.message().contains("nope"), "{unknown}");
    let locked = client().predict(request("chat-locked", "hello")).await.unwrap_err();
    assert_eq!((locked.code(), locked.http().unwrap().status), (&ErrorCode::UNAUTHENTICATED, 401));

    let stream = |endpoint: &str| {
        let Predict { endpoint, inputs, .. } = request(endpoint, "count to ten");
        PredictStream { endpoint, inputs, ..PredictStream::default() }
    };
    let (end, chunks) = natively(&client(), stream("chat")).await;
    assert_eq!(end, Ok(Payload::empty()));
    assert!(chunks.len() > 1 && text(&chunks[0]).contains("chat.completion.chunk"), "{chunks:?}");
    let (end, chunks) = natively(&client(), stream("chat-locked")).await;
    assert!(end.is_err() && chunks.is_empty(), "a failed stream ends with an error");
}

#[tokio::test]
async fn every_operation_works_on_a_standalone_gateway() {
    let server = Standalone::start();
    check(server.url(), json!({})).await;
}

#[tokio::test]
async fn every_operation_works_on_a_tracking_server_with_its_password() {
    let server = TrackingServer::start_protected();
    let anonymous = gateway(server.url(), &json!({}), &[]).unwrap();
    let error = anonymous.list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
    check(server.url(), json!({"username": USER, "password": PASSWORD})).await;
}
