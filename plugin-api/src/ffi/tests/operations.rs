//! Tests that every operation returns the same result in a direct call of the client and through the plugin's table.
//! Also tests that only listed operations have a function in the table.

use std::time::Duration;

use super::probe::{
    PROBES_DROPPED, WAITS_DROPPED, drop_while_waiting, native, open, plugin, predict, small_plugin, start,
    start_and_drop, stream, until,
};
use crate::args::*;
use crate::event::Level;
use crate::ffi::RemoteClient;
use crate::manifest::{Manifest, Panic, TARGET};
use crate::testing::{self, natively};
use crate::{ClientOptions, Config, ErrorCode, Operation, Payload, TargetUri};
use std::sync::atomic::Ordering;

fn config() -> Config {
    Config::new(&serde_json::json!({"a": [1, {"b": null}], "ü": "\u{2028}"})).unwrap()
}

async fn agree<A: Arguments + Clone>(remote: &RemoteClient, arguments: A) {
    let (native, _) = natively(&*native().await, arguments.clone()).await;
    let answer = remote.call(arguments, None).await;
    assert_eq!(answer, native, "{}", A::OPERATION);
}

#[tokio::test]
async fn every_operation_returns_the_same_natively_and_through_the_table() {
    let (plugin, _) = start();
    let remote = open(&plugin, "probe").await.unwrap();
    let inputs = Payload::new("text/csv", b"a,b\n1,NaN\n\0\xff");
    agree(&remote, CreateDeployment::new("n", "m").with_config(config())).await;
    agree(&remote, UpdateDeployment::new("n").with_endpoint("e")).await;
    agree(&remote, DeleteDeployment::new("n")).await;
    agree(&remote, GetDeployment::new("n")).await;
    agree(&remote, ListDeployments::endpoint("e")).await;
    agree(&remote, CreateEndpoint::new("n").with_config(config())).await;
    agree(&remote, UpdateEndpoint::new("n").with_config(config())).await;
    agree(&remote, DeleteEndpoint::new("n")).await;
    agree(&remote, GetEndpoint::new("n")).await;
    agree(&remote, ListEndpoints::all()).await;
    agree(&remote, Predict::endpoint("e", inputs.clone())).await;
    agree(&remote, Explain::deployment("n", inputs.clone())).await;
    agree(&remote, Invoke::new("n").with_inputs(inputs).with_config(config())).await;
    let (_, chunks) = natively(&*native().await, stream("e", "x")).await;
    let mut remote_chunks = Vec::new();
    let mut remote_stream = remote.predict_stream(&stream("e", "x"), None).unwrap();
    while let Some(chunk) = remote_stream.next().await {
        remote_chunks.push(chunk.unwrap());
    }
    assert_eq!(remote_chunks, chunks);
}

#[tokio::test]
async fn an_operation_that_is_not_listed_has_no_slot() {
    let (plugin, _) = testing::start(&small_plugin()).unwrap();
    let client = open(&plugin, "small").await.unwrap();
    let slots: Vec<_> = Operation::ALL.iter().filter(|operation| client.supports(**operation)).collect();
    assert_eq!(slots, [&Operation::Predict]);
    let error = client.call(ListEndpoints {}, None).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
    assert_eq!(error.message(), "the target does not support `list_endpoints`, only `predict`");
    assert_eq!(
        (&error.details()["operation"], &error.details()["supported"]),
        (&"list_endpoints".into(), &vec!["predict"].into())
    );
    assert_eq!(plugin.target_help().await.unwrap_err().code(), &ErrorCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn an_operation_that_is_listed_and_has_no_slot_breaks_the_contract() {
    let (plugin, _) = testing::start(&small_plugin()).unwrap();
    let plugin = plugin.declaring(&["predict".to_owned(), "explain".to_owned(), "target_help".to_owned()]);
    let client = open(&plugin, "small").await.unwrap();
    let missing = client.call(ListEndpoints {}, None).await.unwrap_err();
    assert_eq!(missing.code(), &ErrorCode::NOT_IMPLEMENTED, "it is not listed either");
    for (error, name) in [
        (client.call(Explain::default(), None).await.unwrap_err(), "explain"),
        (plugin.target_help().await.unwrap_err(), "target_help"),
    ] {
        assert_eq!(error.code(), &ErrorCode::PLUGIN_PROTOCOL_VIOLATION);
        let lists = format!("its manifest lists `{name}`, but its table has no function for it");
        assert!(error.message().ends_with(&lists), "{error}");
    }
}

#[tokio::test]
async fn a_record_without_a_name_is_an_error_of_the_call_and_an_event() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe").await.unwrap();
    let error = client.call(GetEndpoint::new("unnamed"), None).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::PLUGIN_PROTOCOL_VIOLATION);
    let said = "the plugin broke the contract: it replied to `get_endpoint` with a record without `name`; expected an \
                object whose `name` is a string";
    assert_eq!(error.message(), said);
    let (call, level, event) = events.all().pop().unwrap();
    assert_eq!((level, event.message), (Level::Error, format!("{said} (call {call})")));
    client.call(GetEndpoint::new("n"), None).await.unwrap();
    assert_eq!(events.all().len(), 1);
}

#[test]
fn the_manifest_has_the_arguments_of_the_macro() {
    let manifest = Manifest::parse(plugin().manifest().as_bytes()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("probe", env!("CARGO_PKG_VERSION")));
    assert_eq!(manifest.schemes, ["probe", "probes"]);
    assert_eq!((manifest.target.as_str(), manifest.panic), (TARGET, Panic::Unwind));
    assert_eq!(manifest.description, "behaves as its inputs tell it");
    assert!(Operation::ALL.iter().all(|operation| manifest.declares(*operation)));
    let small = Manifest::parse(small_plugin().manifest().as_bytes()).unwrap();
    assert_eq!(small.operations, ["predict"]);
    assert_eq!(small.accepts, ["application/json"]);
}

#[tokio::test]
async fn open_passes_the_options_and_returns_the_error_of_connect() {
    let (plugin, _) = start();
    let options = ClientOptions::new(&serde_json::json!({"host": "h"})).unwrap();
    let error = plugin.open(&TargetUri::parse("probe://refuse").unwrap(), &options, None).await.unwrap_err();
    assert_eq!(error.message(), r#"refused with {"host":"h"}"#);
}

#[tokio::test]
async fn an_empty_and_a_large_body_arrive_whole() {
    const LARGE: usize = if cfg!(miri) { 1 << 16 } else { 64 << 20 };
    let (plugin, _) = start();
    let client = open(&plugin, "probe").await.unwrap();
    for size in [0, LARGE] {
        let inputs = Payload::new("application/octet-stream", vec![b'x'; size]);
        let answer = client.call(Predict::endpoint("echo", inputs), None).await.unwrap();
        assert_eq!(answer.bytes.len(), size);
    }
}

#[tokio::test]
async fn the_deadline_and_events_cross_the_boundary() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe").await.unwrap();
    let answer = client.call(predict("deadline"), Some(Duration::from_secs(30))).await.unwrap();
    assert_eq!(answer.bytes, b"true");
    assert_eq!(client.call(predict("deadline"), None).await.unwrap().bytes, b"null");
    client.call(predict("talk"), None).await.unwrap();
    let messages: Vec<_> =
        events.all().into_iter().map(|(_, level, event)| (level, event.message, event.progress)).collect();
    let expected = [(Level::Warn, "be careful".to_owned(), None), (Level::Info, "half way".to_owned(), Some(0.5))];
    assert_eq!(messages, expected);
}

#[tokio::test]
async fn dropping_a_call_cancels_it_in_the_plugin() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe").await.unwrap();
    let before = WAITS_DROPPED.load(Ordering::SeqCst);
    drop_while_waiting(client.call(predict("wait"), None), &events).await;
    until(|| WAITS_DROPPED.load(Ordering::SeqCst) > before).await;
    start_and_drop(open(&plugin, "probe:wait")).await;
    plugin.shut_down().await.unwrap();
    assert!(events.all().iter().all(|(_, level, _)| *level == Level::Debug), "{events:?}");
}

#[tokio::test]
async fn closing_a_client_ends_its_calls_and_drops_it() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe:counted").await.unwrap();
    let (clone, before) = (client.clone(), PROBES_DROPPED.load(Ordering::SeqCst));
    let waiting = tokio::spawn(async move { clone.call(predict("wait"), None).await });
    tokio::task::yield_now().await;
    client.close();
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), &ErrorCode::CANCELLED);
    until(|| PROBES_DROPPED.load(Ordering::SeqCst) > before).await;
    let error = client.call(ListEndpoints {}, None).await.unwrap_err();
    assert_eq!(error.message(), "the client is closed");
    assert!(events.all().iter().all(|(_, level, _)| *level == Level::Debug), "{events:?}");
}

#[tokio::test]
async fn a_dropped_open_leaves_no_client() {
    let (plugin, _) = start();
    let before = PROBES_DROPPED.load(Ordering::SeqCst);
    start_and_drop(open(&plugin, "probe:counted")).await;
    // The `open` is cancelled before it connects, or its client is closed afterwards. No client is left after the
    // shutdown.
    plugin.shut_down().await.unwrap();
    let client = open(&plugin, "probe:counted").await;
    assert_eq!(client.unwrap_err().message(), "the plugin was shut down");
    assert!(PROBES_DROPPED.load(Ordering::SeqCst) >= before);
}

#[tokio::test]
async fn run_local_sends_its_url_and_stops_when_dropped() {
    let (plugin, _) = start();
    let request = RunLocal::new("", "m");
    let mut run = plugin.run_local(&request).unwrap();
    let ready: serde_json::Value = run.next().await.unwrap().unwrap().json().unwrap();
    assert_eq!(ready, serde_json::json!({"event": "ready", "url": "m"}));
    drop(run);
    plugin.shut_down().await.unwrap();
}

#[tokio::test]
async fn an_operation_that_waits_for_its_cancellation_is_not_dropped() {
    let (plugin, events) = start();
    let request = RunLocal::new("orderly", "m");
    let mut run = plugin.run_local(&request).unwrap();
    run.next().await.unwrap().unwrap();
    run.cancel();
    let stopped: serde_json::Value = run.next().await.unwrap().unwrap().json().unwrap();
    assert_eq!(stopped, serde_json::json!({"event": "stopped"}));
    assert!(run.next().await.is_none());
    assert_eq!(events.all().len(), 1, "{events:?}");

    // The same applies to a call whose stream was dropped. The shutdown waits for the end of the call.
    let mut run = plugin.run_local(&request).unwrap();
    run.next().await.unwrap().unwrap();
    drop(run);
    plugin.shut_down().await.unwrap();
    assert_eq!(events.all().len(), 2, "{events:?}");
}

#[tokio::test]
async fn target_help_is_markdown() {
    let (plugin, _) = start();
    let help = plugin.target_help().await.unwrap();
    assert_eq!(help, Payload::new("text/markdown", "# probe\n"));
}

#[tokio::test]
async fn the_shutdown_of_one_instance_does_not_end_another() {
    let (first, _) = start();
    let (second, _) = start();
    let client = open(&second, "probe").await.unwrap();
    first.shut_down().await.unwrap();
    client.call(ListEndpoints {}, None).await.unwrap();
}

#[tokio::test]
async fn a_plugin_shuts_down_when_its_last_handle_is_dropped() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe:counted").await.unwrap();
    let before = PROBES_DROPPED.load(Ordering::SeqCst);
    drop(plugin);
    client.call(ListEndpoints {}, None).await.unwrap();
    drop(client);
    until(|| PROBES_DROPPED.load(Ordering::SeqCst) > before).await;
    assert!(events.all().is_empty(), "{events:?}");
}

#[tokio::test]
async fn an_open_that_is_dropped_after_its_reply_leaves_no_client() {
    let (plugin, _) = start();
    let before = PROBES_DROPPED.load(Ordering::SeqCst);
    let mut opening = Box::pin(open(&plugin, "probe:counted"));
    std::future::poll_fn(|poll| std::task::Poll::Ready(opening.as_mut().poll(poll).is_ready())).await;
    // The reply to a second open follows the first: the plugin has one worker thread.
    open(&plugin, "probe").await.unwrap();
    drop(opening);
    until(|| PROBES_DROPPED.load(Ordering::SeqCst) > before).await;
}

#[tokio::test]
async fn a_second_shutdown_gets_its_reply() {
    let (plugin, _) = start();
    open(&plugin, "probe").await.unwrap();
    plugin.shut_down().await.unwrap();
    plugin.shut_down().await.unwrap();
}
