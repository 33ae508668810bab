//! Tests of operations that start on the host's calling thread.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::probe::open;
use crate::args::{Explain, Predict};
use crate::ffi::{Plugin, RemotePlugin};
use crate::{
    ClientOptions, DeploymentClient, ErrorCode, Operation, Payload, Result, TargetUri, blocking, call, testing,
};

/// A client whose operation `predict` starts on the calling thread. The operations return the name of their thread.
struct Threads;

/// Returns the id of the thread, which differs between all threads of a process.
fn here() -> String {
    format!("{:?}", thread::current().id())
}

impl DeploymentClient for Threads {
    const INLINE: &'static [Operation] = &[Operation::Predict];

    async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> {
        Ok(Self)
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        match request.endpoint.as_deref() {
            Some("panic") => panic!("asked to panic"),
            Some("wait") => blocking(|| Ok(())).await?,
            Some("endless") => std::future::pending().await,
            _ => {}
        }
        Payload::from_json(&json!({"thread": here(), "has_deadline": call::deadline().is_some()}))
    }

    async fn explain(&self, _request: Explain) -> Result<Payload> {
        Payload::from_json(&json!({"thread": here()}))
    }
}

fn start() -> RemotePlugin {
    let plugin: Plugin =
        crate::plugin! { client: Threads, name: "threads", schemes: ["threads"], operations: [predict, explain] };
    testing::start(&plugin).unwrap().0
}

fn predict(endpoint: &str) -> Predict {
    Predict::endpoint(endpoint, Payload::empty())
}

#[tokio::test]
async fn an_inline_operation_that_does_not_wait_is_answered_on_the_calling_thread() {
    let client = open(&start(), "threads").await.unwrap();
    let thread = |answer: Payload| answer.json::<serde_json::Value>().unwrap()["thread"].clone();
    assert_eq!(thread(client.call(predict("now"), None).await.unwrap()), here());
    assert_ne!(thread(client.call(Explain::default(), None).await.unwrap()), here());
    #[cfg(feature = "runtime")]
    assert_ne!(thread(client.call(predict("wait"), None).await.unwrap()), here());
}

#[tokio::test]
async fn an_inline_operation_has_the_deadline_of_its_call() {
    let client = open(&start(), "threads").await.unwrap();
    let answer = client.call(predict("now"), Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(answer.json::<serde_json::Value>().unwrap()["has_deadline"], true);
    #[cfg(feature = "runtime")]
    {
        let error = client.call(predict("endless"), Some(Duration::from_millis(1))).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
    }
}

#[tokio::test]
async fn a_panic_of_an_inline_operation_is_contained() {
    let client = open(&start(), "threads").await.unwrap();
    for endpoint in ["panic", "now"] {
        let error = client.call(predict(endpoint), None).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::PLUGIN_PANICKED);
    }
}

#[tokio::test]
async fn an_inline_operation_that_waits_can_be_cancelled() {
    let plugin = start();
    let client = open(&plugin, "threads").await.unwrap();
    let call = client.call(predict("endless"), None);
    tokio::select! {
        biased;
        _ = call => panic!("the endless call returned"),
        () = std::future::ready(()) => {}
    }
    drop(client);
    // Returns only if the dropped call has its reply.
    plugin.shut_down().await.unwrap();
}
