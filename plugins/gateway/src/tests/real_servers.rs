//! The client against the servers themselves, both of them.

use mlflow_deploy_test_support::peers::{Gateway as Standalone, PASSWORD, TrackingServer, USER};

use super::*;

/// What every gateway of the tests answers, whichever server it is in.
async fn check(url: &str, options: Value) {
    let client = || gateway(url, &options, &[]).unwrap();
    let records: Vec<Value> = client().list_endpoints(ListEndpoints::default()).await.unwrap().json().unwrap();
    let names: Vec<_> = records.iter().map(|record| record["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"chat") && names.contains(&"embeddings"), "{names:?}");
    let record = |name: &str| GetEndpoint { endpoint: name.to_owned() };
    let chat: Value = client().get_endpoint(record("chat")).await.unwrap().json().unwrap();
    assert_eq!(chat["name"], "chat");
    assert_eq!(client().get_endpoint(record("nope")).await.unwrap_err().code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);

    let say = |endpoint: &str, content: &str| {
        let inputs = Payload::from_json(&json!({"messages": [{"role": "user", "content": content}]})).unwrap();
        Predict { inputs, ..predict(endpoint) }
    };
    let reply: Value = client().predict(say("chat", "hello")).await.unwrap().json().unwrap();
    assert_eq!(reply["choices"][0]["message"]["content"], "Hello from upstream.");
    let nope = client().predict(say("nope", "hello")).await.unwrap_err();
    assert_eq!(nope.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    assert!(nope.message().contains("nope"), "{nope}");
    let locked = client().predict(say("chat-locked", "hello")).await.unwrap_err();
    assert_eq!((locked.code(), locked.http().unwrap().status), (&ErrorCode::UNAUTHENTICATED, 401));

    let stream = |endpoint: &str| {
        let Predict { endpoint, inputs, .. } = say(endpoint, "count to ten");
        PredictStream { endpoint, inputs, ..PredictStream::default() }
    };
    let (end, chunks) = natively(&client(), stream("chat")).await;
    assert_eq!(end, Ok(Payload::empty()));
    assert!(chunks.len() > 1 && text(&chunks[0]).contains("chat.completion.chunk"), "{chunks:?}");
    let (end, chunks) = natively(&client(), stream("chat-locked")).await;
    assert!(end.is_err() && chunks.is_empty(), "a stream that fails has not ended well");
}

#[tokio::test]
async fn a_standalone_gateway_answers() {
    let server = Standalone::start();
    check(server.url(), json!({})).await;
}

#[tokio::test]
async fn a_tracking_server_answers_who_has_its_password() {
    let server = TrackingServer::start_protected();
    let stranger = gateway(server.url(), &json!({}), &[]).unwrap();
    let error = stranger.list_endpoints(ListEndpoints::default()).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
    check(server.url(), json!({"username": USER, "password": PASSWORD})).await;
}
