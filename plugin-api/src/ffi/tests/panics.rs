//! Tests that a panic anywhere in a plugin is caught, reaches the caller as an error, and ends only the client in which
//! it happens.

use super::probe::{drop_while_waiting, open, predict, start, stream, until};
use crate::ErrorCode;
use crate::args::ListEndpoints;
use crate::event::Level;

fn is_panic(error: &crate::Error, message: &str) {
    assert_eq!(error.code(), &ErrorCode::PLUGIN_PANICKED);
    assert!(error.message().starts_with(&format!("the plugin panicked: {message}")), "{error}");
}

#[tokio::test]
async fn a_panic_in_connect_is_an_error() {
    let (plugin, _) = start();
    is_panic(&open(&plugin, "probe:panic-in-connect").await.unwrap_err(), "asked to panic in connect");
    open(&plugin, "probe").await.unwrap();
}

#[tokio::test]
async fn a_panic_in_an_operation_ends_its_client() {
    let (plugin, _) = start();
    for (endpoint, message) in [
        ("panic", "asked to panic"),
        ("panic-later", "asked to panic later"),
        ("panic-in-drop-of-payload", "a panic without a message"),
        ("panic-in-blocking", "asked to panic in blocking"),
    ] {
        let client = open(&plugin, "probe").await.unwrap();
        let queued = tokio::spawn({
            let client = client.clone();
            async move { client.call(predict("wait"), None).await }
        });
        tokio::task::yield_now().await;
        is_panic(&client.call(predict(endpoint), None).await.unwrap_err(), message);
        is_panic(&queued.await.unwrap().unwrap_err(), message);
        is_panic(&client.call(ListEndpoints {}, None).await.unwrap_err(), message);
        open(&plugin, "probe").await.unwrap().call(ListEndpoints {}, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_in_the_drop_of_a_cancelled_call_ends_its_client() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe").await.unwrap();
    drop_while_waiting(client.call(predict("panic-in-drop-of-future"), None), &events).await;
    // The caller no longer waits, but the panic has still ended the client.
    loop {
        match client.call(ListEndpoints {}, None).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break is_panic(&error, "asked to panic in the future's drop"),
        }
    }
}

#[tokio::test]
async fn a_panic_in_a_stream_is_its_last_item() {
    let (plugin, _) = start();
    let client = open(&plugin, "probe").await.unwrap();
    let mut chunks = client.predict_stream(&stream("panic", "first"), None).unwrap();
    assert_eq!(chunks.next().await.unwrap().unwrap().bytes, b"first");
    is_panic(&chunks.next().await.unwrap().unwrap_err(), "asked to panic mid-stream");
    assert!(chunks.next().await.is_none());
}

#[tokio::test]
async fn a_panic_in_close_becomes_an_error_event() {
    let (plugin, events) = start();
    drop(open(&plugin, "probe:panic-in-close").await.unwrap());
    until(|| !events.all().is_empty()).await;
    let (call, level, event) = events.all().remove(0);
    assert_eq!((call, level), (0, Level::Error));
    assert!(event.message.starts_with("the plugin panicked while closing a client: "), "{}", event.message);
    open(&plugin, "probe").await.unwrap();
}

#[tokio::test]
async fn panics_of_two_clients_at_shutdown_become_two_events() {
    let (plugin, events) = start();
    let clients =
        [open(&plugin, "probe:panic-in-close").await.unwrap(), open(&plugin, "probe:panic-in-close").await.unwrap()];
    plugin.shut_down().await.unwrap();
    assert_eq!(events.all().len(), 2, "{events:?}");
    drop(clients);
}
