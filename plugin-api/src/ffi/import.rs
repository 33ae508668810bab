//! The host's handles of a plugin instance and of its clients.
//!
//! A call serializes its arguments, calls a function of the plugin's table, and waits for the reply with the call's id.
//! It does not retry, enforce a deadline, or parse the JSON of inputs and predictions. It checks the names of records.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::abi::PluginTable;
use super::head::OpenHead;
use super::in_flight::{Caller, InFlight, OpenClient, RemoteInstance, next_id};
use super::pending::{Parts, Pending, Receiver};
use super::records;
use super::stream::{FIRST_WINDOW, RemoteStream};
use super::table::Table;
use super::transport::{HostCallbacks, PluginTransport, Request, Slot};
use crate::args::{Arguments, Predict, PredictStream, RunLocal};
use crate::event::{Event, Level};
use crate::{ClientOptions, Error, ErrorCode, Operation, Payload, Result, TargetUri, sync};

/// The host's handle of a running plugin instance. Clones share the instance. The instance is shut down when its last
/// clone, client and call are dropped.
///
/// The module [`testing`](crate::testing) has an example.
#[derive(Clone)]
pub struct RemotePlugin(Arc<RemoteInstance>);

impl RemotePlugin {
    /// Starts an instance of the plugin in this process. Blocks while the plugin's `init` runs.
    ///
    /// `listener` receives the plugin's events, each with the id of its call. The id is 0 if the event belongs to no
    /// call. The listener may be called from any thread and must not block.
    ///
    /// # Safety
    /// As for [`Table::start`].
    ///
    /// # Errors
    /// As for [`Table::start`].
    pub unsafe fn start(
        table: PluginTable,
        listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
    ) -> Result<Self> {
        // SAFETY: the caller makes the same promise.
        Self::through(listener, |host| unsafe { Table::start(table, host) })
    }

    /// Starts a plugin instance behind any transport, such as a connection to another process. `start` takes the
    /// callbacks that receive the plugin's messages, and returns the transport.
    ///
    /// `listener` receives the plugin's events, as for [`start`](Self::start).
    ///
    /// # Errors
    /// The error of `start`.
    pub fn through<P: PluginTransport + 'static, E>(
        listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
        start: impl FnOnce(Arc<dyn HostCallbacks>) -> Result<P, E>,
    ) -> Result<Self, E> {
        let pending = Arc::new(Pending::new(Arc::new(listener)));
        let host = Arc::clone(&pending);
        let plugin = Box::new(start(host)?);
        let (is_shut_down, declared) = (AtomicBool::new(false), OnceLock::new());
        Ok(Self(Arc::new(RemoteInstance { plugin, pending, is_shut_down, declared })))
    }

    /// Sets the operations that the plugin's manifest lists. If the plugin's table has no function for a listed
    /// operation, a call of the operation then fails with `PLUGIN_PROTOCOL_VIOLATION` instead of `NOT_IMPLEMENTED`.
    #[must_use]
    pub fn declaring(self, operations: &[String]) -> Self {
        // Clones of an instance share its manifest.
        let _same = self.0.declared.set(operations.to_vec());
        self
    }

    /// Returns true if the plugin's table has a function for the operation.
    pub fn supports(&self, operation: Operation) -> bool {
        self.0.plugin.has(Slot::Operation(operation))
    }

    /// Opens a client. `timeout` is the time until the caller's deadline. The plugin gets the timeout; this function
    /// does not enforce it.
    ///
    /// # Errors
    /// The error of the plugin's `connect`.
    pub async fn open(
        &self,
        target: &TargetUri,
        options: &ClientOptions,
        timeout: Option<Duration>,
    ) -> Result<RemoteClient> {
        let head = to_json(&OpenHead { target_uri: target.clone(), options: options.clone() })?;
        let (instance, client) = (Arc::clone(&self.0), next_id());
        let request = Request { head: &head, timeout_ms: milliseconds(timeout), ..Request::default() };
        let answer = self.0.ask(Slot::Open, Caller::Opening(client), &request)?;
        let parts = answer.parts().await?;
        // The client is open, and has to be closed even if the reply is invalid.
        let open = parts.is_ok().then(|| Arc::new(OpenClient { instance, id: client }));
        parts.read()?;
        Ok(RemoteClient(Arc::new(Mutex::new(open))))
    }

    /// Returns the help text of the plugin's target.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the plugin has no help.
    pub async fn target_help(&self) -> Result<Payload> {
        let request = Request { head: b"{}", ..Request::default() };
        self.0.ask(Slot::TargetHelp, Caller::Plugin, &request)?.wait().await
    }

    /// Serves a model on this machine until the returned stream is dropped. The first chunk contains the URL of the
    /// server.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the plugin does not support `run_local`.
    pub fn run_local(&self, arguments: &RunLocal) -> Result<RemoteStream> {
        let head = to_json(arguments)?;
        self.0.stream(
            Slot::RunLocal,
            Caller::Plugin,
            &Request { head: &head, credit: FIRST_WINDOW, ..Request::default() },
        )
    }

    /// Shuts the instance down. Returns after all calls have their replies and all clients are closed.
    ///
    /// # Errors
    /// The error in the plugin's reply.
    pub async fn shut_down(&self) -> Result<()> {
        let answer = self.0.ask(Slot::Shutdown, Caller::Plugin, &Request::default())?;
        self.0.is_shut_down.store(true, Ordering::Relaxed);
        answer.wait().await.map(drop)
    }
}

impl fmt::Debug for RemotePlugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RemotePlugin").field(&self.0.supported()).finish()
    }
}

/// The host's handle of an open client of a plugin. Clones share the client. The client is closed when its last clone
/// and its last call are dropped.
///
/// The module [`testing`](crate::testing) has an example.
#[derive(Clone)]
pub struct RemoteClient(Arc<Mutex<Option<Arc<OpenClient>>>>);

impl RemoteClient {
    /// Returns true if the client is open and the plugin's table has a function for the operation.
    pub fn supports(&self, operation: Operation) -> bool {
        self.open().is_ok_and(|open| open.instance.plugin.has(Slot::Operation(operation)))
    }

    /// Runs an operation. `timeout` is the time until the caller's deadline. The plugin gets the timeout; this function
    /// does not enforce it. Dropping the future cancels the call.
    ///
    /// # Errors
    /// The client's error; `NOT_IMPLEMENTED` if the plugin has no function for the operation;
    /// `PLUGIN_PROTOCOL_VIOLATION` if a returned record has no `name`, which is also reported as an event.
    pub async fn call<A: Arguments>(&self, mut arguments: A, timeout: Option<Duration>) -> Result<Payload> {
        let open = self.open()?;
        let head = to_json(&arguments)?;
        let body = arguments.inputs().map(|inputs| std::mem::take(&mut inputs.bytes)).unwrap_or_default();
        let request = Request { head: &head, body: &body, credit: 0, timeout_ms: milliseconds(timeout) };
        let instance = Arc::clone(&open.instance);
        let answer = instance.ask(Slot::Operation(A::OPERATION), Caller::Client(open), &request)?;
        drop((head, body));
        answer.wait_for(A::OPERATION).await
    }

    /// Runs `predict` as [`call`](Self::call) does, but borrows the arguments. Cancels the call when `given_up`
    /// completes, and then still waits for the reply. The reply shows if the plugin's process has survived the call.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub async fn predict_until(
        &self,
        arguments: &Predict,
        timeout: Option<Duration>,
        given_up: impl Future<Output = ()>,
    ) -> Result<Payload> {
        let open = self.open()?;
        let head = to_json(arguments)?;
        let timeout_ms = milliseconds(timeout);
        let request = Request { head: &head, body: &arguments.inputs.bytes, credit: 0, timeout_ms };
        let instance = Arc::clone(&open.instance);
        let mut answer = instance.ask(Slot::Operation(Operation::Predict), Caller::Client(open), &request)?;
        let mut given_up = pin!(given_up);
        let mut is_waiting = true;
        let reply = poll_fn(|context| {
            if is_waiting && given_up.as_mut().poll(context).is_ready() {
                is_waiting = false;
                answer.call.cancel();
            }
            Pin::new(&mut answer.reply).poll(context)
        });
        let reply = reply.await;
        answer.read(reply)?.read()
    }

    /// Starts `predict_stream`. Returns its chunks as a stream. Dropping the stream cancels the call.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the plugin has no function for `predict_stream`. Other errors come through the stream.
    pub fn predict_stream(&self, arguments: &PredictStream, timeout: Option<Duration>) -> Result<RemoteStream> {
        let open = self.open()?;
        let head = to_json(arguments)?;
        let timeout_ms = milliseconds(timeout);
        let request = Request { head: &head, body: &arguments.inputs.bytes, credit: FIRST_WINDOW, timeout_ms };
        let instance = Arc::clone(&open.instance);
        instance.stream(Slot::Operation(Operation::PredictStream), Caller::Client(open), &request)
    }

    /// Closes the client at once. Running and later calls of the client fail with `CANCELLED`.
    pub fn close(&self) {
        let open = sync::lock(&self.0).take();
        if let Some(open) = open {
            open.instance.cancel_client(open.id);
        }
    }

    fn open(&self) -> Result<Arc<OpenClient>> {
        let open = sync::lock(&self.0).as_ref().map(Arc::clone);
        open.ok_or_else(|| Error::new(ErrorCode::CANCELLED, "the client is closed"))
    }
}

impl fmt::Debug for RemoteClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.open().map(|open| open.id);
        write!(formatter, "RemoteClient({})", id.map_or("closed".to_owned(), |id| id.to_string()))
    }
}

impl RemoteInstance {
    /// Starts a call that returns one reply and no chunks.
    fn ask(self: &Arc<Self>, slot: Slot, caller: Caller, request: &Request<'_>) -> Result<Answer> {
        let (sender, reply) = oneshot::channel();
        Ok(Answer { reply, call: self.enter(slot, caller, Receiver::One(sender), request)? })
    }

    /// Starts a call that sends chunks before its reply. Returns the stream of chunks.
    fn stream(self: &Arc<Self>, slot: Slot, caller: Caller, request: &Request<'_>) -> Result<RemoteStream> {
        let (sender, items) = mpsc::unbounded_channel();
        Ok(RemoteStream::new(items, self.enter(slot, caller, Receiver::Many(sender), request)?))
    }
}

/// A started call that returns one reply and no chunks.
struct Answer {
    reply: oneshot::Receiver<Result<Parts>>,
    call: InFlight,
}

impl Answer {
    async fn wait(self) -> Result<Payload> {
        self.parts().await?.read()
    }

    /// Waits for the result of an operation, and checks its records.
    async fn wait_for(mut self, operation: Operation) -> Result<Payload> {
        let reply = (&mut self.reply).await;
        let result = self.read(reply)?.read()?;
        records::check(operation, &result).map_err(|fault| self.call.violated(&fault))?;
        Ok(result)
    }

    async fn parts(mut self) -> Result<Parts> {
        let reply = (&mut self.reply).await;
        self.read(reply)
    }

    fn read(&mut self, reply: Result<Result<Parts>, oneshot::error::RecvError>) -> Result<Parts> {
        self.call.end();
        reply.map_err(|_dropped| Error::internal(format!("the host lost the reply to {:?}", self.call)))?
    }
}

impl Drop for Answer {
    /// Cancels the call. If the call is an `open` whose successful reply has arrived but was not read, also closes the
    /// client.
    fn drop(&mut self) {
        self.call.abandon();
        if let (Caller::Opening(client), Ok(Ok(parts))) = (&self.call.caller, self.reply.try_recv())
            && parts.is_ok()
        {
            self.call.instance.plugin.close(*client);
        }
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::invalid_parameter(format!("failed to write the arguments: {error}")))
}

/// Converts a timeout to milliseconds for a request. `None` becomes 0. Any other timeout becomes at least 1.
fn milliseconds(timeout: Option<Duration>) -> u64 {
    // The minimum is 1 ms, because 0 means that there is no deadline.
    timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1))
}
