//! Tracks the calls and clients of a plugin that runs in its own process.
//!
//! This module neither starts nor ends a process, and does not call the host. Its methods return the calls that have
//! ended. The code that called the method must then release the lock and answer these calls.

use std::collections::HashMap;
use std::io::{PipeWriter, Write};

use mlflow_deploy_plugin_api::ffi::abi::STATUS_OK;
use mlflow_deploy_plugin_api::ffi::{Request, Slot};
use mlflow_deploy_plugin_api::{Error, ErrorCode};

use super::message::Message;
use super::sender::Sender;

/// The start of the range of ids for the calls that reopen clients. The host's own calls have smaller ids.
const FIRST_REOPENING: u64 = 1 << 63;

/// Returns true if the host made the call. Returns false if the supervisor made it to reopen a client.
pub(crate) fn is_of_host(call: u64) -> bool {
    call < FIRST_REOPENING
}

/// The calls and clients of one plugin, and the state of its process.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) phase: Phase,
    /// The host's calls that the process has received and not answered. The value is the client that the call opens, or
    /// 0.
    running: HashMap<u64, u64>,
    clients: HashMap<u64, IsolatedClient>,
    /// The calls that reopen clients. The value is the client that the call reopens.
    reopening: HashMap<u64, u64>,
    last_reopening: u64,
}

/// The state of a plugin's process.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The process has ended for this reason, or has not been started. The next call starts it.
    Ended(Error),
    /// The plugin was shut down. Further calls fail.
    ShutDown,
    /// The process accepts calls.
    Running(Connection),
    /// The process is starting. These calls wait for it.
    Starting(Vec<QueuedCall>),
}

/// The connection of the host to a running process.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: Sender,
    /// Wakes the thread that reads messages from the process.
    pub(crate) wake: PipeWriter,
    /// True if the thread that reads messages waits without a time limit, so that `wake` must wake it.
    pub(crate) is_asleep: bool,
}

/// The calls that an ended process has not answered.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// The calls that the process has received.
    pub(crate) started: Vec<u64>,
    /// The calls that waited for the process or for their client, and that the process has not received.
    pub(crate) waiting: Vec<u64>,
}

/// A client of a plugin that runs in its own process. It outlives that process, and is reopened in the next one.
#[derive(Debug)]
struct IsolatedClient {
    /// The arguments of the `open` call, which reopen the client in a new process.
    open: Vec<u8>,
    state: ClientState,
}

#[derive(Debug)]
enum ClientState {
    /// A call that reopens the client is running. These calls wait until the client is open.
    Opening(Vec<QueuedCall>),
    /// The client is not open in the current process.
    Closed,
    /// The client is open in the process, or its first `open` call is running.
    Open,
}

/// A call that waits until the process runs or until its client is open.
#[derive(Debug)]
pub(crate) struct QueuedCall {
    slot: Slot,
    client: u64,
    pub(crate) call: u64,
    credit: u32,
    timeout_ms: u64,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl QueuedCall {
    pub(crate) fn new(slot: Slot, client: u64, call: u64, request: &Request<'_>) -> Self {
        let Request { credit, timeout_ms, head, body } = *request;
        Self { slot, client, call, credit, timeout_ms, head: head.to_vec(), body: body.to_vec() }
    }

    fn request(&self) -> Request<'_> {
        Request { credit: self.credit, timeout_ms: self.timeout_ms, head: &self.head, body: &self.body }
    }
}

impl Calls {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { phase: Phase::Running(connection), ..Self::unstarted() }
    }

    /// Returns the state of a plugin whose process has not been started. The first call starts it.
    pub(crate) fn unstarted() -> Self {
        let not_yet = Error::new(ErrorCode::PLUGIN_CRASHED, "the plugin's process has not been started");
        Self {
            phase: Phase::Ended(not_yet),
            running: HashMap::new(),
            clients: HashMap::new(),
            reopening: HashMap::new(),
            last_reopening: FIRST_REOPENING,
        }
    }

    /// Sends a call to the running process. If the client of the call is not open there, reopens the client and queues
    /// the call.
    pub(crate) fn start(&mut self, slot: Slot, client: u64, call: u64, request: &Request<'_>) {
        let Phase::Running(connection) = &mut self.phase else { return };
        let known = self.clients.get_mut(&client);
        match (slot, known) {
            (Slot::Open, _) => {
                self.clients.insert(client, IsolatedClient { open: request.head.to_vec(), state: ClientState::Open });
                self.running.insert(call, client);
                connection.send(&Message::Call { slot, client, call, request: *request });
            }
            (_, Some(IsolatedClient { state: ClientState::Opening(queued), .. })) => {
                queued.push(QueuedCall::new(slot, client, call, request));
            }
            (_, Some(IsolatedClient { open, state: state @ ClientState::Closed })) => {
                *state = ClientState::Opening(vec![QueuedCall::new(slot, client, call, request)]);
                self.last_reopening += 1;
                self.reopening.insert(self.last_reopening, client);
                let request = Request { timeout_ms: request.timeout_ms, head: open, ..Request::default() };
                connection.send(&Message::Call { slot: Slot::Open, client, call: self.last_reopening, request });
            }
            (_, Some(IsolatedClient { state: ClientState::Open, .. }) | None) => {
                self.running.insert(call, 0);
                connection.send(&Message::Call { slot, client, call, request: *request });
            }
        }
    }

    /// Records that the process has started. Sends the waiting calls to it.
    pub(crate) fn started(&mut self, connection: Connection) {
        let before = std::mem::replace(&mut self.phase, Phase::Running(connection));
        if let Phase::Starting(waiting) = before {
            for queued in waiting {
                self.start(queued.slot, queued.client, queued.call, &queued.request());
            }
        }
    }

    /// Records that the process has ended or could not be started. Returns the calls that the process will not answer.
    pub(crate) fn ended(&mut self, why: Error) -> Unanswered {
        let (started, mut waiting_calls) = (self.running.keys().copied().collect(), Vec::new());
        // Removes the clients that were being opened, because their `open` calls fail.
        for (_, opened) in self.running.drain() {
            self.clients.remove(&opened);
        }
        for client in self.clients.values_mut() {
            if let ClientState::Opening(waiting) = std::mem::replace(&mut client.state, ClientState::Closed) {
                waiting_calls.extend(waiting.iter().map(|queued| queued.call));
            }
        }
        self.reopening.clear();
        if let Phase::Starting(waiting) = std::mem::replace(&mut self.phase, Phase::Ended(why)) {
            waiting_calls.extend(waiting.iter().map(|queued| queued.call));
        }
        Unanswered { started, waiting: waiting_calls }
    }

    /// Records a reply of the process. Returns the host's calls that end with this reply: the call itself, or the calls
    /// that wait for a client if reopening the client failed.
    pub(crate) fn replied(&mut self, call: u64, status: u32) -> Vec<u64> {
        let Some(id) = self.reopening.remove(&call) else {
            if let (Some(opened), true) = (self.running.remove(&call), status != STATUS_OK) {
                self.clients.remove(&opened);
            }
            return vec![call];
        };
        let Phase::Running(connection) = &mut self.phase else { return Vec::new() };
        let Some(client) = self.clients.get_mut(&id) else {
            // The client was closed while it was being reopened.
            if status == STATUS_OK {
                connection.send(&Message::Close { client: id });
            }
            return Vec::new();
        };
        let state = if status == STATUS_OK { ClientState::Open } else { ClientState::Closed };
        let ClientState::Opening(waiting) = std::mem::replace(&mut client.state, state) else { return Vec::new() };
        if status != STATUS_OK {
            return waiting.iter().map(|queued| queued.call).collect();
        }
        for queued in waiting {
            self.running.insert(queued.call, 0);
            let QueuedCall { slot, client, call, .. } = queued;
            connection.send(&Message::Call { slot, client, call, request: queued.request() });
        }
        Vec::new()
    }

    /// Cancels a call. Returns true if the call was still waiting for the process or for its client. The code that
    /// called this method must then answer the call.
    pub(crate) fn cancel(&mut self, call: u64) -> bool {
        if let (true, Phase::Running(connection)) = (self.running.contains_key(&call), &mut self.phase) {
            connection.send(&Message::Cancel { call });
            return false;
        }
        self.waiting().any(|waiting| {
            let at = waiting.iter().position(|queued| queued.call == call);
            at.map(|at| waiting.remove(at)).is_some()
        })
    }

    /// Allows the plugin to send `chunks` more chunks of the stream of a call.
    pub(crate) fn credit(&mut self, call: u64, chunks: u32) {
        if let (true, Phase::Running(connection)) = (self.running.contains_key(&call), &mut self.phase) {
            return connection.send(&Message::Credit { call, chunks });
        }
        let queued = self.waiting().flatten().find(|queued| queued.call == call);
        if let Some(queued) = queued {
            queued.credit = queued.credit.saturating_add(chunks);
        }
    }

    /// Closes a client, also in the process if the client is open there.
    pub(crate) fn close(&mut self, client: u64) {
        let known = self.clients.remove(&client);
        if let (Some(IsolatedClient { state: ClientState::Open, .. }), Phase::Running(connection)) =
            (known, &mut self.phase)
        {
            connection.send(&Message::Close { client });
        }
    }

    /// Returns true if the process has answered all calls that it has received.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.reopening.is_empty()
    }

    /// Returns all queues of waiting calls: the queue of the process, and those of its clients.
    fn waiting(&mut self) -> impl Iterator<Item = &mut Vec<QueuedCall>> {
        let for_process = match &mut self.phase {
            Phase::Starting(waiting) => Some(waiting),
            Phase::Ended(_) | Phase::ShutDown | Phase::Running(_) => None,
        };
        let for_clients = self.clients.values_mut().filter_map(|client| match &mut client.state {
            ClientState::Opening(waiting) => Some(waiting),
            ClientState::Closed | ClientState::Open => None,
        });
        for_process.into_iter().chain(for_clients)
    }
}

impl Connection {
    fn send(&mut self, message: &Message<'_>) {
        self.sender.send(message);
        if self.is_asleep {
            self.is_asleep = false;
            // Fails if the thread has ended.
            let _gone = self.wake.write(&[0]);
        }
    }
}
