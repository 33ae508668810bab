//! The host's side of the boundary: an instance of a plugin, its clients, and one slot call for each operation.
//!
//! An operation is serialised once, its slot called, and the reply awaited by the call's id. Nothing here retries,
//! logs, keeps time, or reads the JSON that passes through.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::abi::{AbiRequest, AbiSlice, PluginTable};
use super::export::Open;
use super::pending::{Parts, Pending, Receiver, Waiting};
use super::stream::{RemoteStream, WINDOW};
use crate::args::{Arguments, PredictStream, RunLocal};
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
    table: PluginTable,
    /// What `init` returned.
    handle: *mut c_void,
    pending: &'static Pending,
    is_shut_down: AtomicBool,
}

// SAFETY: the contract lets every function of the table be called from any thread with what `init` returned.
unsafe impl Send for Instance {}
// SAFETY: as above; nothing in here is written to but the flag.
unsafe impl Sync for Instance {}

/// Nobody holds the plugin or a client of it any more: its threads can go.
impl Drop for Instance {
    fn drop(&mut self) {
        if let (Some(shutdown), false) = (self.table.shutdown, *self.is_shut_down.get_mut()) {
            let call = next_id();
            self.pending.insert(call, Waiting { client: 0, credit: 0, receiver: Receiver::NOBODY });
            // SAFETY: the table was vouched for at the start.
            unsafe { shutdown(self.handle, call) };
        }
    }
}

impl RemotePlugin {
    /// Makes an instance of the plugin. It blocks for as long as the plugin's `init` takes.
    ///
    /// `listener` is given the plugin's events: the id of the call they concern, or 0. It may be called from any
    /// thread, and must not block.
    ///
    /// # Safety
    /// Every function in the table honours the contract of [`PluginTable`] and stays where it is for the life of the
    /// process.
    ///
    /// # Errors
    /// `PLUGIN_LOAD_FAILED` where the plugin says that it could not be made.
    pub unsafe fn start(
        table: PluginTable,
        listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
    ) -> Result<Self> {
        let refused = || Error::new(ErrorCode::PLUGIN_LOAD_FAILED, "the plugin's `init` failed");
        let (pending, api) = Pending::new(Arc::new(listener));
        let init = table.init.ok_or_else(refused)?;
        // SAFETY: the caller vouches for the table; the host's own table lives as long as the process.
        let handle = unsafe { init(std::ptr::from_ref(api).cast()) };
        if handle.is_null() {
            return Err(refused());
        }
        Ok(Self(Arc::new(Instance { table, handle, pending, is_shut_down: AtomicBool::new(false) })))
    }

    /// Whether the plugin has a slot for the operation.
    pub fn supports(&self, operation: Operation) -> bool {
        self.0.table.slot(operation).is_some()
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
        let slot = self.0.table.open.ok_or_else(|| self.unsupported("open"))?;
        let head = to_json(&Open { target_uri: target.clone(), options: options.clone() })?;
        let (instance, client) = (Arc::clone(&self.0), next_id());
        let request = Request { head: &head, body: &[], credit: 0, timeout };
        let answer = self.0.ask(Caller::Opening(client), &request, |handle, call, request| {
            // SAFETY: the table was vouched for at the start; the request outlives the call.
            unsafe { slot(handle, client, call, request) }
        });
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
        let slot = self.0.table.target_help.ok_or_else(|| self.unsupported("target_help"))?;
        let request = Request { head: b"{}", body: &[], credit: 0, timeout: None };
        let answer = self.0.ask(Caller::Plugin, &request, |handle, call, request| {
            // SAFETY: the table was vouched for at the start; the request outlives the call.
            unsafe { slot(handle, call, request) }
        });
        answer.wait().await
    }

    /// Serves a model on this machine until the stream is dropped; its first chunk says where.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where the plugin has no way to.
    pub fn run_local(&self, arguments: &RunLocal) -> Result<RemoteStream> {
        let slot = self.0.table.run_local.ok_or_else(|| self.unsupported("run_local"))?;
        let request = Request { head: &to_json(arguments)?, body: &[], credit: WINDOW, timeout: None };
        Ok(self.0.stream(Caller::Plugin, &request, |handle, call, request| {
            // SAFETY: the table was vouched for at the start; the request outlives the call.
            unsafe { slot(handle, call, request) }
        }))
    }

    /// Ends the instance: returns when its calls are answered and its clients closed.
    ///
    /// # Errors
    /// What the plugin answers.
    pub async fn shut_down(&self) -> Result<()> {
        let slot = self.0.table.shutdown.ok_or_else(|| self.unsupported("shutdown"))?;
        self.0.is_shut_down.store(true, Ordering::Relaxed);
        let request = Request { head: &[], body: &[], credit: 0, timeout: None };
        let answer = self.0.ask(Caller::Plugin, &request, |handle, call, _| {
            // SAFETY: the table was vouched for at the start.
            unsafe { slot(handle, call) }
        });
        answer.wait().await.map(drop)
    }

    fn unsupported(&self, what: &str) -> Error {
        self.0.unsupported(what)
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
        self.instance.close(self.id);
    }
}

impl RemoteClient {
    /// Whether the plugin has a slot for the operation.
    pub fn supports(&self, operation: Operation) -> bool {
        self.open().is_ok_and(|open| open.instance.table.slot(operation).is_some())
    }

    /// Runs an operation. `timeout` is what is left of the caller's deadline, for the plugin to know; dropping the
    /// future cancels the call.
    ///
    /// # Errors
    /// What the client answers; `NOT_IMPLEMENTED` where the plugin has no slot for the operation.
    pub async fn call<A: Arguments>(&self, mut arguments: A, timeout: Option<Duration>) -> Result<Payload> {
        let open = self.open()?;
        let slot = open.instance.slot(A::OPERATION)?;
        let head = to_json(&arguments)?;
        let body = arguments.inputs().map(|inputs| std::mem::take(&mut inputs.bytes)).unwrap_or_default();
        let request = Request { head: &head, body: &body, credit: 0, timeout };
        let (instance, client) = (Arc::clone(&open.instance), open.id);
        let answer = instance.ask(Caller::Client(open), &request, |handle, call, request| {
            // SAFETY: the table was vouched for at the start; the request outlives the call.
            unsafe { slot(handle, client, call, request) }
        });
        drop((head, body));
        answer.wait().await
    }

    /// Runs `predict_stream`. Dropping the stream cancels the call.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where the plugin has no slot for it; all else comes through the stream.
    pub fn predict_stream(&self, arguments: &PredictStream, timeout: Option<Duration>) -> Result<RemoteStream> {
        let open = self.open()?;
        let slot = open.instance.slot(Operation::PredictStream)?;
        let head = to_json(arguments)?;
        let request = Request { head: &head, body: &arguments.inputs.bytes, credit: WINDOW, timeout };
        let (instance, client) = (Arc::clone(&open.instance), open.id);
        Ok(instance.stream(Caller::Client(open), &request, |handle, call, request| {
            // SAFETY: the table was vouched for at the start; the request outlives the call.
            unsafe { slot(handle, client, call, request) }
        }))
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

/// A call as it is passed to a slot.
struct Request<'a> {
    head: &'a [u8],
    body: &'a [u8],
    credit: u32,
    timeout: Option<Duration>,
}

impl Request<'_> {
    fn to_abi(&self) -> AbiRequest {
        #[expect(clippy::cast_possible_truncation, reason = "the struct is some dozen bytes long")]
        const SIZE: u32 = size_of::<AbiRequest>() as u32;
        // A deadline that has passed is not the same as none: 1 ms is the least there is.
        let milliseconds = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        AbiRequest {
            size: SIZE,
            credit: self.credit,
            timeout_ms: self.timeout.map_or(0, milliseconds),
            head: AbiSlice::lend(self.head),
            body: AbiSlice::lend(self.body),
        }
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
    fn slot(&self, operation: Operation) -> Result<super::abi::OperationSlot> {
        self.table.slot(operation).ok_or_else(|| self.unsupported(operation.name()))
    }

    fn supported(&self) -> Vec<&'static str> {
        let has_slot = |operation: &&Operation| self.table.slot(**operation).is_some();
        Operation::ALL.iter().filter(has_slot).map(|operation| operation.name()).collect()
    }

    fn unsupported(&self, what: &str) -> Error {
        let supported = self.supported().join("`, `");
        Error::new(ErrorCode::NOT_IMPLEMENTED, format!("the target does not support `{what}`, only `{supported}`"))
    }

    /// Notes a plain call and enters its slot.
    fn ask(
        self: &Arc<Self>,
        caller: Caller,
        request: &Request<'_>,
        enter: impl FnOnce(*mut c_void, u64, *const AbiRequest),
    ) -> Answer {
        let (sender, reply) = oneshot::channel();
        let call = self.enter(caller, Receiver::One(sender), request, enter);
        Answer { reply, call }
    }

    /// Notes a stream and enters its slot.
    fn stream(
        self: &Arc<Self>,
        caller: Caller,
        request: &Request<'_>,
        enter: impl FnOnce(*mut c_void, u64, *const AbiRequest),
    ) -> RemoteStream {
        let (sender, items) = mpsc::unbounded_channel();
        RemoteStream::new(items, self.enter(caller, Receiver::Many(sender), request, enter))
    }

    fn enter(
        self: &Arc<Self>,
        caller: Caller,
        receiver: Receiver,
        request: &Request<'_>,
        enter: impl FnOnce(*mut c_void, u64, *const AbiRequest),
    ) -> InFlight {
        let id = next_id();
        self.pending.insert(id, Waiting { client: caller.client(), credit: request.credit, receiver });
        let call = InFlight { instance: Arc::clone(self), id, caller };
        let request = request.to_abi();
        enter(self.handle, id, &raw const request);
        call
    }

    fn cancel(&self, call: u64) {
        if let Some(cancel) = self.table.cancel {
            // SAFETY: the table was vouched for at the start.
            unsafe { cancel(self.handle, call) };
        }
    }

    fn cancel_client(&self, client: u64) {
        let closed = Error::new(ErrorCode::CANCELLED, "the client was closed");
        for call in self.pending.abandon_client(client, &closed) {
            self.cancel(call);
        }
    }

    fn close(&self, client: u64) {
        if let Some(close) = self.table.close {
            // SAFETY: the table was vouched for at the start.
            unsafe { close(self.handle, client) };
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
        if let (true, Some(credit)) = (self.instance.pending.grant(self.id, chunks), self.instance.table.credit) {
            // SAFETY: the table was vouched for at the start.
            unsafe { credit(self.instance.handle, self.id, chunks) };
        }
    }

    /// Tells the plugin to stop; its reply is still waited for.
    pub(super) fn cancel(&self) {
        self.instance.cancel(self.id);
    }
}

impl InFlight {
    /// Says that nobody waits for the call any more.
    fn give_up(&self) {
        // A client that opens after all, when nobody waits for it any more, is closed as soon as that is known.
        let undo = match self.caller {
            Caller::Opening(client) => {
                let instance = Arc::clone(&self.instance);
                let close: Box<dyn FnOnce() + Send> = Box::new(move || instance.close(client));
                Some(close)
            }
            Caller::Client(_) | Caller::Plugin => None,
        };
        if self.instance.pending.abandon(self.id, undo) {
            self.instance.cancel(self.id);
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
            self.call.instance.close(*client);
        }
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::invalid_parameter(format!("failed to write the arguments: {error}")))
}
