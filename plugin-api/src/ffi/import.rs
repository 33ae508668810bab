//! The host's side of the boundary: an instance of a plugin, its clients, and one slot call for each operation.
//!
//! An operation is serialised once, its slot called, and the reply awaited by the call's id. Nothing here retries,
//! logs, keeps time, or reads the JSON that passes through.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::abi::PluginTable;
use super::export::Open;
use super::pending::{Parts, Pending, Receiver, Waiting};
use super::seam::{Request, Slot, ToHost, ToPlugin};
use super::stream::{RemoteStream, WINDOW};
use super::table::Table;
use crate::args::{Arguments, Predict, PredictStream, RunLocal};
use crate::call::{Event, Level};
use crate::{ClientOptions, Error, ErrorCode, Operation, Payload, Result, TargetUri};

/// Ids of clients and calls: never zero, never used twice in a process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A running instance of a plugin.
#[derive(Clone)]
pub struct RemotePlugin(Arc<Instance>);

struct Instance {
    plugin: Box<dyn ToPlugin>,
    pending: Arc<Pending>,
    is_shut_down: AtomicBool,
}

/// Nobody holds the plugin or a client of it any more: its threads can go.
impl Drop for Instance {
    fn drop(&mut self) {
        if !*self.is_shut_down.get_mut() && self.plugin.has(Slot::Shutdown) {
            let call = next_id();
            self.pending.insert(call, Waiting { client: 0, credit: 0, receiver: Receiver::NOBODY });
            self.plugin.call(Slot::Shutdown, 0, call, &Request::default());
        }
    }
}

impl RemotePlugin {
    /// Makes an instance of the plugin in this process. It blocks for as long as the plugin's `init` takes.
    ///
    /// `listener` is given the plugin's events: the id of the call they concern, or 0. It may be called from any
    /// thread, and must not block.
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
        // SAFETY: the caller's promise is passed on as it is.
        Self::through(listener, |host| unsafe { Table::start(table, host) })
    }

    /// An instance that is reached through what `start` makes, wherever it runs; `start` is given the host's side,
    /// which answers to the plugin.
    ///
    /// `listener` is given the plugin's events, as for [`start`](Self::start).
    ///
    /// # Errors
    /// What `start` returns.
    pub fn through<P: ToPlugin + 'static, E>(
        listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
        start: impl FnOnce(Arc<dyn ToHost>) -> Result<P, E>,
    ) -> Result<Self, E> {
        let pending = Arc::new(Pending::new(Arc::new(listener)));
        let host = Arc::clone(&pending);
        let plugin = Box::new(start(host)?);
        Ok(Self(Arc::new(Instance { plugin, pending, is_shut_down: AtomicBool::new(false) })))
    }

    /// Whether the plugin has a slot for the operation.
    pub fn supports(&self, operation: Operation) -> bool {
        self.0.plugin.has(Slot::Operation(operation))
    }

    /// Makes a client. `timeout` is what is left of the caller's deadline, for the plugin to know.
    ///
    /// # Errors
    /// What the plugin's `connect` answers.
    pub async fn open(
        &self,
        target: &TargetUri,
        options: &ClientOptions,
        timeout: Option<Duration>,
    ) -> Result<RemoteClient> {
        let head = to_json(&Open { target_uri: target.clone(), options: options.clone() })?;
        let (instance, client) = (Arc::clone(&self.0), next_id());
        let request = Request { head: &head, timeout_ms: milliseconds(timeout), ..Request::default() };
        let answer = self.0.ask(Slot::Open, Caller::Opening(client), &request)?;
        let parts = answer.parts().await?;
        // From here on there is a client to close, whatever else is wrong with the reply.
        let open = parts.is_ok().then(|| Arc::new(OpenClient { instance, id: client }));
        parts.read()?;
        Ok(RemoteClient(Arc::new(Mutex::new(open))))
    }

    /// Asks for the text that tells a user how to use the target.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where the plugin has none.
    pub async fn target_help(&self) -> Result<Payload> {
        let request = Request { head: b"{}", ..Request::default() };
        self.0.ask(Slot::TargetHelp, Caller::Plugin, &request)?.wait().await
    }

    /// Serves a model on this machine until the stream is dropped; its first chunk says where.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where the plugin has no way to.
    pub fn run_local(&self, arguments: &RunLocal) -> Result<RemoteStream> {
        let head = to_json(arguments)?;
        self.0.stream(Slot::RunLocal, Caller::Plugin, &Request { head: &head, credit: WINDOW, ..Request::default() })
    }

    /// Ends the instance: returns when its calls are answered and its clients closed.
    ///
    /// # Errors
    /// What the plugin answers.
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

/// A client in a plugin. Clones share it; it is closed when the last of them and its last call have gone.
#[derive(Clone)]
pub struct RemoteClient(Arc<Mutex<Option<Arc<OpenClient>>>>);

/// Kept by every handle and every call: when the last one goes, no slot of the client can be entered any more.
struct OpenClient {
    instance: Arc<Instance>,
    id: u64,
}

impl Drop for OpenClient {
    fn drop(&mut self) {
        self.instance.plugin.close(self.id);
    }
}

impl RemoteClient {
    /// Whether the plugin has a slot for the operation.
    pub fn supports(&self, operation: Operation) -> bool {
        self.open().is_ok_and(|open| open.instance.plugin.has(Slot::Operation(operation)))
    }

    /// Runs an operation. `timeout` is what is left of the caller's deadline, for the plugin to know; dropping the
    /// future cancels the call.
    ///
    /// # Errors
    /// What the client answers; `NOT_IMPLEMENTED` where the plugin has no slot for the operation.
    pub async fn call<A: Arguments>(&self, mut arguments: A, timeout: Option<Duration>) -> Result<Payload> {
        let open = self.open()?;
        let head = to_json(&arguments)?;
        let body = arguments.inputs().map(|inputs| std::mem::take(&mut inputs.bytes)).unwrap_or_default();
        let request = Request { head: &head, body: &body, credit: 0, timeout_ms: milliseconds(timeout) };
        let instance = Arc::clone(&open.instance);
        let answer = instance.ask(Slot::Operation(A::OPERATION), Caller::Client(open), &request)?;
        drop((head, body));
        answer.wait().await
    }

    /// As [`call`](Self::call), of arguments that the caller keeps. Once `given_up` is ready the call is cancelled, and
    /// its reply is still waited for: it says whether the plugin's process has outlived the call.
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

    /// Runs `predict_stream`. Dropping the stream cancels the call.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where the plugin has no slot for it; all else comes through the stream.
    pub fn predict_stream(&self, arguments: &PredictStream, timeout: Option<Duration>) -> Result<RemoteStream> {
        let open = self.open()?;
        let head = to_json(arguments)?;
        let timeout_ms = milliseconds(timeout);
        let request = Request { head: &head, body: &arguments.inputs.bytes, credit: WINDOW, timeout_ms };
        let instance = Arc::clone(&open.instance);
        instance.stream(Slot::Operation(Operation::PredictStream), Caller::Client(open), &request)
    }

    /// Closes the client now: calls on their way answer `CANCELLED`, and later ones fail.
    pub fn close(&self) {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(open) = open {
            open.instance.cancel_client(open.id);
        }
    }

    fn open(&self) -> Result<Arc<OpenClient>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Arc::clone);
        open.ok_or_else(|| Error::new(ErrorCode::CANCELLED, "the client is closed"))
    }
}

impl fmt::Debug for RemoteClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.open().map(|open| open.id);
        write!(formatter, "RemoteClient({})", id.map_or("closed".to_owned(), |id| id.to_string()))
    }
}

/// MLflow's name of what a slot is for.
fn name(slot: Slot) -> &'static str {
    match slot {
        Slot::Open => "open",
        Slot::Operation(operation) => operation.name(),
        Slot::RunLocal => "run_local",
        Slot::Shutdown => "shutdown",
        Slot::TargetHelp => "target_help",
    }
}

/// On whose behalf a slot is entered.
enum Caller {
    /// A client, which stays open until the call has ended.
    Client(Arc<OpenClient>),
    /// A client that is about to be.
    Opening(u64),
    /// The plugin itself.
    Plugin,
}

impl Caller {
    /// The client's id, 0 for none.
    fn client(&self) -> u64 {
        match self {
            Self::Client(open) => open.id,
            Self::Opening(client) => *client,
            Self::Plugin => 0,
        }
    }
}

impl Instance {
    /// What the plugin can be asked for, by MLflow's names.
    fn supported(&self) -> Vec<&'static str> {
        let slots = Operation::ALL.iter().copied().map(Slot::Operation).chain([Slot::TargetHelp, Slot::RunLocal]);
        slots.filter(|slot| self.plugin.has(*slot)).map(name).collect()
    }

    fn unsupported(&self, slot: Slot) -> Error {
        let (what, supported) = (name(slot), self.supported());
        let said = format!("the target does not support `{what}`, only `{}`", supported.join("`, `"));
        let error = Error::new(ErrorCode::NOT_IMPLEMENTED, said);
        error.with_detail("operation", what).with_detail("supported", supported)
    }

    /// Notes a plain call and begins it.
    fn ask(self: &Arc<Self>, slot: Slot, caller: Caller, request: &Request<'_>) -> Result<Answer> {
        let (sender, reply) = oneshot::channel();
        Ok(Answer { reply, call: self.enter(slot, caller, Receiver::One(sender), request)? })
    }

    /// Notes a stream and begins it.
    fn stream(self: &Arc<Self>, slot: Slot, caller: Caller, request: &Request<'_>) -> Result<RemoteStream> {
        let (sender, items) = mpsc::unbounded_channel();
        Ok(RemoteStream::new(items, self.enter(slot, caller, Receiver::Many(sender), request)?))
    }

    fn enter(
        self: &Arc<Self>,
        slot: Slot,
        caller: Caller,
        receiver: Receiver,
        request: &Request<'_>,
    ) -> Result<InFlight> {
        if !self.plugin.has(slot) {
            return Err(self.unsupported(slot));
        }
        let (id, client) = (next_id(), caller.client());
        self.pending.insert(id, Waiting { client, credit: request.credit, receiver });
        let call = InFlight { instance: Arc::clone(self), id, caller };
        self.plugin.call(slot, client, id, request);
        Ok(call)
    }

    fn cancel_client(&self, client: u64) {
        let closed = Error::new(ErrorCode::CANCELLED, "the client was closed");
        for call in self.pending.abandon_client(client, &closed) {
            self.plugin.cancel(call);
        }
    }
}

/// A call on its way. Dropping it before its end cancels it.
pub(super) struct InFlight {
    instance: Arc<Instance>,
    id: u64,
    caller: Caller,
}

impl InFlight {
    /// Lets a stream's plugin send more chunks.
    pub(super) fn grant(&self, chunks: u32) {
        if self.instance.pending.grant(self.id, chunks) {
            self.instance.plugin.credit(self.id, chunks);
        }
    }

    /// Tells the plugin to stop; its reply is still waited for.
    pub(super) fn cancel(&self) {
        self.instance.plugin.cancel(self.id);
    }
}

impl InFlight {
    /// Says that nobody waits for the call any more.
    fn give_up(&self) {
        // A client that opens after all, when nobody waits for it any more, is closed as soon as that is known.
        let undo = match self.caller {
            Caller::Opening(client) => {
                let instance = Arc::clone(&self.instance);
                let close: Box<dyn FnOnce() + Send> = Box::new(move || instance.plugin.close(client));
                Some(close)
            }
            Caller::Client(_) | Caller::Plugin => None,
        };
        if self.instance.pending.abandon(self.id, undo) {
            self.instance.plugin.cancel(self.id);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "call {}", self.id)
    }
}

/// The reply to a plain call, as it is awaited.
struct Answer {
    reply: oneshot::Receiver<Result<Parts>>,
    call: InFlight,
}

impl Answer {
    async fn wait(self) -> Result<Payload> {
        self.parts().await?.read()
    }

    async fn parts(mut self) -> Result<Parts> {
        let reply = (&mut self.reply).await;
        self.read(reply)
    }

    fn read(&self, reply: Result<Result<Parts>, oneshot::error::RecvError>) -> Result<Parts> {
        reply.map_err(|_dropped| Error::internal(format!("{:?} was forgotten by the host", self.call)))?
    }
}

impl Drop for Answer {
    /// An open whose reply came, and was not taken before its caller went, has a client that nobody would close.
    fn drop(&mut self) {
        self.call.give_up();
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

/// A limit as it is passed on: 0 is none.
fn milliseconds(timeout: Option<Duration>) -> u64 {
    // A deadline that has passed is not the same as none: 1 ms is the least there is.
    timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1))
}
