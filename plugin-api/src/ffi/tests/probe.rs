//! The plugin that the other tests call. Its behavior depends on the inputs of a call.

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::args::*;
use crate::call::{self, Level};
use crate::testing::{self, Events};
use crate::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri, blocking,
    ffi::{Plugin, RemoteClient, RemotePlugin},
};

/// A client whose operations return their arguments, or do what the arguments request.
pub(super) struct Probe {
    target: TargetUri,
    dropped: Option<&'static AtomicUsize>,
}

/// The message of the event that the endpoint `wait` sends when its call has started.
pub(super) const WAITING: &str = "waiting";
/// The number of dropped futures of calls to the endpoint `wait`.
pub(super) static WAITS_DROPPED: AtomicUsize = AtomicUsize::new(0);
/// The number of dropped clients of the target `probe:counted`.
pub(super) static PROBES_DROPPED: AtomicUsize = AtomicUsize::new(0);
/// The number of chunks that streams of the endpoint `endless` have sent.
pub(super) static CHUNKS_SENT: AtomicUsize = AtomicUsize::new(0);

/// Calls a function when this value is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped {
            dropped.fetch_add(1, Ordering::SeqCst);
        }
        assert_ne!(self.target.suffix(), "panic-in-close", "asked to panic in close");
    }
}

/// Returns an operation's arguments as JSON.
fn echo(arguments: &impl serde::Serialize) -> Result<Payload> {
    Payload::from_json(arguments)
}

impl DeploymentClient for Probe {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        match target.suffix() {
            "panic-in-connect" => panic!("asked to panic in connect"),
            "refuse" => Err(Error::invalid_parameter(format!("refused with {}", options.as_str()))),
            "wait" => std::future::pending().await,
            suffix => {
                let dropped = (suffix == "counted").then_some(&PROBES_DROPPED);
                Ok(Self { target, dropped })
            }
        }
    }

    fn target_help() -> String {
        "# probe\n".to_owned()
    }

    async fn run_local(request: RunLocal, chunks: &mut Chunks) -> Result<()> {
        chunks.send(Payload::from_json(&json!({"event": "ready", "url": request.model_uri}))?).await?;
        if request.name != "orderly" {
            return std::future::pending().await;
        }
        call::cancelled().await;
        call::log(Level::Debug, "winding up");
        tokio::task::yield_now().await;
        chunks.send(Payload::from_json(&json!({"event": "stopped"}))?).await
    }

    async fn create_deployment(&self, request: CreateDeployment) -> Result<Payload> {
        echo(&request)
    }

    async fn update_deployment(&self, request: UpdateDeployment) -> Result<Payload> {
        echo(&request)
    }

    async fn delete_deployment(&self, _request: DeleteDeployment) -> Result<Payload> {
        Ok(Payload::empty())
    }

    async fn get_deployment(&self, request: GetDeployment) -> Result<Payload> {
        Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no deployment `{}`", request.name)))
    }

    async fn list_deployments(&self, request: ListDeployments) -> Result<Payload> {
        echo(&[json!({"name": "n", "arguments": request})])
    }

    async fn create_endpoint(&self, request: CreateEndpoint) -> Result<Payload> {
        echo(&request)
    }

    async fn update_endpoint(&self, request: UpdateEndpoint) -> Result<Payload> {
        echo(&request)
    }

    async fn delete_endpoint(&self, request: DeleteEndpoint) -> Result<Payload> {
        echo(&request)
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        match request.endpoint.as_str() {
            "unnamed" => echo(&json!({"endpoint": "unnamed"})),
            name => echo(&json!({"name": name})),
        }
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        echo(&[json!({"name": self.target.as_str()})])
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        match request.endpoint.as_deref() {
            Some("panic") => panic!("asked to panic"),
            Some("panic-later") => {
                tokio::task::yield_now().await;
                panic!("asked to panic {}", "later");
            }
            Some("panic-in-drop-of-payload") => panic_any(OnDrop(|| panic!("asked to panic in the payload's drop"))),
            Some("panic-in-drop-of-future") => {
                let _guard = OnDrop(|| panic!("asked to panic in the future's drop"));
                call::log(Level::Debug, WAITING);
                std::future::pending().await
            }
            Some("panic-in-blocking") => blocking(|| panic!("asked to panic in blocking")).await,
            Some("wait") => {
                let _guard = OnDrop(|| {
                    WAITS_DROPPED.fetch_add(1, Ordering::SeqCst);
                });
                call::log(Level::Debug, WAITING);
                std::future::pending().await
            }
            Some("deadline") => Payload::from_json(&call::remaining().map(|left| left.as_secs() < 60)),
            Some("talk") => {
                call::warn("be careful");
                blocking(|| {
                    call::progress(0.5, "half way");
                    Ok(())
                })
                .await?;
                Ok(Payload::empty())
            }
            _ => Ok(request.inputs),
        }
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        match request.endpoint.as_deref() {
            Some("endless") => loop {
                chunks.send(request.inputs.clone()).await?;
                CHUNKS_SENT.fetch_add(1, Ordering::SeqCst);
            },
            Some("panic") => {
                chunks.send(request.inputs).await?;
                panic!("asked to panic mid-stream");
            }
            Some("fail") => {
                chunks.send(request.inputs).await?;
                Err(Error::new(ErrorCode::RESOURCE_EXHAUSTED, "enough").retryable())
            }
            _ => {
                for number in 0..50 {
                    chunks.send(Payload::from_json(&number)?).await?;
                }
                chunks.send(request.inputs).await
            }
        }
    }

    async fn explain(&self, request: Explain) -> Result<Payload> {
        Ok(request.inputs)
    }

    async fn invoke(&self, request: Invoke) -> Result<Payload> {
        echo(&request)
    }
}

pub(super) fn plugin() -> Plugin {
    crate::plugin! {
        client: Probe,
        name: "probe",
        schemes: ["probe", "probes"],
        operations: [
            create_deployment, update_deployment, delete_deployment, get_deployment, list_deployments,
            create_endpoint, update_endpoint, delete_endpoint, get_endpoint, list_endpoints,
            predict, predict_stream, explain, invoke, target_help, run_local,
        ],
        manifest: r#"{"description": "behaves as its inputs tell it"}"#,
    }
}

/// Returns a plugin whose client has only one operation.
pub(super) fn small_plugin() -> Plugin {
    struct Small;
    impl DeploymentClient for Small {
        async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> {
            Ok(Self)
        }

        async fn predict(&self, request: Predict) -> Result<Payload> {
            Ok(request.inputs)
        }
    }
    crate::plugin! { client: Small, name: "small", schemes: ["small"], operations: [predict] }
}

pub(super) fn start() -> (RemotePlugin, Events) {
    testing::start(&plugin()).unwrap()
}

pub(super) async fn open(plugin: &RemotePlugin, target: &str) -> Result<RemoteClient> {
    plugin.open(&TargetUri::parse(target).unwrap(), &ClientOptions::default(), None).await
}

pub(super) fn predict(endpoint: &str) -> Predict {
    Predict::endpoint(endpoint, Payload::empty())
}

pub(super) fn stream(endpoint: &str, inputs: &str) -> PredictStream {
    PredictStream::endpoint(endpoint, Payload::new("text/plain", inputs))
}

/// Waits until the condition holds. If it never holds, the timeout of the test runner ends the test.
pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// Polls a future once, then drops it.
pub(super) async fn start_and_drop(future: impl Future) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|poll| {
        let _ = future.as_mut().poll(poll);
        std::task::Poll::Ready(())
    })
    .await;
}

/// Starts a call, and drops it when the plugin reports that the call has started.
pub(super) async fn drop_while_waiting(call: impl Future, events: &Events) {
    let waits = || events.all().iter().filter(|(_, _, event)| event.message == WAITING).count();
    let before = waits();
    tokio::select! {
        _ = call => unreachable!("the call never ends"),
        () = until(|| waits() > before) => {}
    }
}

/// Returns a probe that tests call directly, without the plugin's table.
pub(super) async fn native() -> Arc<Probe> {
    Arc::new(Probe::connect(TargetUri::parse("probe").unwrap(), ClientOptions::default()).await.unwrap())
}
