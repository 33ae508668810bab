//! Every operation answers the same natively and through the table, and only what is listed has a slot.

use std::time::Duration;

use super::probe::{
    PROBES_DROPPED, WAITS_DROPPED, drop_while_waiting, native, open, plugin, predict, small_plugin, start,
    start_and_drop, stream, until,
};
use crate::args::*;
use crate::call::Level;
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
async fn every_operation_answers_as_it_does_natively() {
    let (plugin, _) = start();
    let remote = open(&plugin, "probe").await.unwrap();
    let (name, endpoint) = ("n".to_owned(), Some("e".to_owned()));
    let inputs = Payload::new("text/csv", b"a,b\n1,NaN\n\0\xff");
    agree(&remote, CreateDeployment { name: name.clone(), config: config(), ..CreateDeployment::default() }).await;
    agree(&remote, UpdateDeployment { name: name.clone(), endpoint: endpoint.clone(), ..Default::default() }).await;
    agree(&remote, DeleteDeployment { name: name.clone(), ..Default::default() }).await;
    agree(&remote, GetDeployment { name: name.clone(), ..Default::default() }).await;
    agree(&remote, ListDeployments { endpoint: endpoint.clone() }).await;
    agree(&remote, CreateEndpoint { name: name.clone(), config: config() }).await;
    agree(&remote, UpdateEndpoint { endpoint: name.clone(), config: config() }).await;
    agree(&remote, DeleteEndpoint { endpoint: name.clone() }).await;
    agree(&remote, GetEndpoint { endpoint: name.clone() }).await;
    agree(&remote, ListEndpoints {}).await;
    agree(&remote, Predict { endpoint: endpoint.clone(), inputs: inputs.clone(), ..Default::default() }).await;
    agree(&remote, Explain { endpoint: endpoint.clone(), inputs: inputs.clone(), ..Default::default() }).await;
    agree(&remote, Invoke { operation: name, inputs: inputs.clone(), config: config(), ..Default::default() }).await;
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

#[test]
fn the_manifest_says_what_the_macro_was_told() {
    let manifest = Manifest::parse(plugin().manifest().as_bytes()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("probe", env!("CARGO_PKG_VERSION")));
    assert_eq!(manifest.schemes, ["probe", "probes"]);
    assert_eq!((manifest.target.as_str(), manifest.panic), (TARGET, Panic::Unwind));
    assert_eq!(manifest.description, "does what it is asked");
    assert!(Operation::ALL.iter().all(|operation| manifest.declares(*operation)));
    let small = Manifest::parse(small_plugin().manifest().as_bytes()).unwrap();
    assert_eq!(small.operations, ["predict"]);
    assert_eq!(small.accepts, ["application/json"]);
}

#[tokio::test]
async fn an_open_carries_its_options_and_its_refusal() {
    let (plugin, _) = start();
    let options = ClientOptions::new(&serde_json::json!({"host": "h"})).unwrap();
    let error = plugin.open(&TargetUri::parse("probe://refuse").unwrap(), &options, None).await.unwrap_err();
    assert_eq!(error.message(), r#"refused with {"host":"h"}"#);
}

#[tokio::test]
async fn a_large_body_and_none_at_all_arrive() {
    const LARGE: usize = if cfg!(miri) { 1 << 16 } else { 64 << 20 };
    let (plugin, _) = start();
    let client = open(&plugin, "probe").await.unwrap();
    for size in [0, LARGE] {
        let inputs = Payload::new("application/octet-stream", vec![b'x'; size]);
        let answer = client.call(Predict { inputs, ..Default::default() }, None).await.unwrap();
        assert_eq!(answer.bytes.len(), size);
    }
}

#[tokio::test]
async fn the_deadline_and_what_is_said_cross_the_boundary() {
    let (plugin, events) = start();
    let client = open(&plugin, "probe").await.unwrap();
    let answer = client.call(predict("deadline"), Some(Duration::from_secs(30))).await.unwrap();
    assert_eq!(answer.bytes, b"true");
    assert_eq!(client.call(predict("deadline"), None).await.unwrap().bytes, b"null");
    client.call(predict("talk"), None).await.unwrap();
    let said: Vec<_> =
        events.all().into_iter().map(|(_, level, event)| (level, event.message, event.progress)).collect();
    let expected = [(Level::Warn, "be careful".to_owned(), None), (Level::Info, "half way".to_owned(), Some(0.5))];
    assert_eq!(said, expected);
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
async fn an_open_that_nobody_waits_for_leaves_no_client() {
    let (plugin, _) = start();
    let before = PROBES_DROPPED.load(Ordering::SeqCst);
    start_and_drop(open(&plugin, "probe:counted")).await;
    // Cancelled before it connected, or closed after: either way nothing is left when the plugin has shut down.
    plugin.shut_down().await.unwrap();
    let client = open(&plugin, "probe:counted").await;
    assert_eq!(client.unwrap_err().message(), "the plugin was shut down");
    assert!(PROBES_DROPPED.load(Ordering::SeqCst) >= before);
}

#[tokio::test]
async fn run_local_says_where_and_stops_when_dropped() {
    let (plugin, _) = start();
    let request = RunLocal { model_uri: "m".to_owned(), ..RunLocal::default() };
    let mut run = plugin.run_local(&request).unwrap();
    let ready: serde_json::Value = run.next().await.unwrap().unwrap().json().unwrap();
    assert_eq!(ready, serde_json::json!({"event": "ready", "url": "m"}));
    drop(run);
    plugin.shut_down().await.unwrap();
}

#[tokio::test]
async fn an_operation_that_waits_for_its_cancellation_ends_by_itself() {
    let (plugin, events) = start();
    let request = RunLocal { name: "orderly".to_owned(), model_uri: "m".to_owned(), ..RunLocal::default() };
    let mut run = plugin.run_local(&request).unwrap();
    run.next().await.unwrap().unwrap();
    run.cancel();
    let stopped: serde_json::Value = run.next().await.unwrap().unwrap().json().unwrap();
    assert_eq!(stopped, serde_json::json!({"event": "stopped"}));
    assert!(run.next().await.is_none());
    assert_eq!(events.all().len(), 1, "{events:?}");

    // One that nobody listens to any more winds up as well, and the shutdown waits for it.
    let mut run = plugin.run_local(&request).unwrap();
    run.next().await.unwrap().unwrap();
    drop(run);
    plugin.shut_down().await.unwrap();
    assert_eq!(events.all().len(), 2, "{events:?}");
}

#[tokio::test]
async fn help_is_markdown() {
    let (plugin, _) = start();
    let help = plugin.target_help().await.unwrap();
    assert_eq!(help, Payload::new("text/markdown", "# probe\n"));
}

#[tokio::test]
async fn instances_of_one_plugin_are_apart() {
    let (first, _) = start();
    let (second, _) = start();
    let client = open(&second, "probe").await.unwrap();
    first.shut_down().await.unwrap();
    client.call(ListEndpoints {}, None).await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_nobody_holds_is_shut_down() {
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
    // A second open is answered after the first: the plugin has one worker.
    open(&plugin, "probe").await.unwrap();
    drop(opening);
    until(|| PROBES_DROPPED.load(Ordering::SeqCst) > before).await;
}

#[tokio::test]
async fn a_second_shutdown_is_answered_too() {
    let (plugin, _) = start();
    open(&plugin, "probe").await.unwrap();
    plugin.shut_down().await.unwrap();
    plugin.shut_down().await.unwrap();
}
