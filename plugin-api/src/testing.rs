//! Calls a plugin through its table of functions in one process, without loading a library.
//!
//! A test makes the same call [natively](natively()) and through the plugin's table, and compares the results. No
//! library is loaded, so tools that cannot follow `dlopen`, such as Miri, check all of the code. [`raw`] loads a
//! library and makes calls that a host does not make; conformance tests use it.
//!
//! ```
//! # use mlflow_deploy_plugin_api::args::Predict;
//! # use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Payload, Result, TargetUri};
//! # struct Echo;
//! # impl DeploymentClient for Echo {
//! #     async fn connect(_target: TargetUri, _options: ClientOptions) -> Result<Self> { Ok(Echo) }
//! #     async fn predict(&self, request: Predict) -> Result<Payload> { Ok(request.inputs) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! use mlflow_deploy_plugin_api::{plugin, testing};
//!
//! let plugin = plugin! { client: Echo, name: "echo", schemes: ["echo"], operations: [predict] };
//! let (remote, events) = testing::start(&plugin)?;
//! let client = remote.open(&"echo".parse()?, &ClientOptions::default(), None).await?;
//! let request = Predict::endpoint("any", Payload::new("text/plain", "hello"));
//! let (native, _chunks) = testing::natively(&Echo, request.clone()).await;
//! assert_eq!(client.call(request, None).await?, native?);
//! assert!(events.all().is_empty());
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

/// Loads a plugin's library, calls its table with valid and invalid arguments, and records the callbacks that it calls.
///
/// A library under test may break any rule. The functions that load a library or trust its table are `unsafe`. A test
/// calls them in a process that may crash.
pub mod raw {
    pub use crate::ffi::raw::{
        Bytes, Chunk, Driver, Entered, HostShape, Library, RecordedCall, RecordedEvent, Reply, Request, TableFacts,
        in_fork,
    };
}

use crate::args::Arguments;
use crate::event::{Event, Level};
use crate::ffi::{Plugin, RemotePlugin};
use crate::{Chunks, DeploymentClient, Payload, Result, sync};

/// The recorded events of a plugin. Each entry holds the id of the call (0 for none), the severity, and the event.
///
/// See the [module](self) for an example.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<(u64, Level, Event)>>>);

impl Events {
    /// Returns all events that were recorded so far, in the order of their arrival.
    pub fn all(&self) -> Vec<(u64, Level, Event)> {
        sync::lock(&self.0).clone()
    }

    /// Returns a listener that adds the events of a plugin to this record.
    pub fn listener(&self) -> impl Fn(u64, Level, Event) + Send + Sync + 'static {
        let events = Arc::clone(&self.0);
        move |call, level, event| {
            sync::lock(&events).push((call, level, event));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.all()).finish()
    }
}

/// Starts an instance of a plugin in this process. Returns the instance, and the record of its events.
///
/// See the [module](self) for an example.
///
/// # Errors
/// `PLUGIN_LOAD_FAILED` if the plugin's `init` fails.
pub fn start(plugin: &Plugin) -> Result<(RemotePlugin, Events)> {
    let events = Events::default();
    Ok((plugin.start(events.listener())?, events))
}

/// Runs an operation by a direct call of the client, without the plugin's table. Returns the result, and the chunks
/// that the operation sent.
pub async fn natively<C: DeploymentClient, A: Arguments>(client: &C, arguments: A) -> (Result<Payload>, Vec<Payload>) {
    let sent = Arc::<Mutex<Vec<Payload>>>::default();
    let sink = Arc::clone(&sent);
    let emit = move |chunk| sync::lock(&sink).push(chunk);
    let mut chunks = Chunks::new(emit, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)));
    let answer = arguments.answer(client, &mut chunks).await;
    drop(chunks);
    let sent = std::mem::take(&mut *sync::lock(&sent));
    (answer, sent)
}
