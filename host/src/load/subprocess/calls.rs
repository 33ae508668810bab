//! The state of the calls and clients of an isolated plugin.
//!
//! This module neither starts nor ends a process, and does not call the host. Its methods return the calls that their
//! caller must answer after it has released the lock.

use std::collections::HashMap;
use std::io::{PipeWriter, Write};

use mlflow_deploy_plugin_api::ffi::abi::STATUS_OK;
use mlflow_deploy_plugin_api::ffi::{Request, Slot};
use mlflow_deploy_plugin_api::{Error, ErrorCode};

use super::message::Message;
use super::sender::Sender;

/// The first id of the calls that reopen clients. The host's own calls have smaller ids.
const FIRST_REOPENING: u64 = 1 << 63;

/// Returns true if the host made the call, false if the call reopens a client.
pub(crate) fn is_of_host(call: u64) -> bool {
    call < FIRST_REOPENING
}

/// The calls and clients of one plugin.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) phase: Phase,
    /// The calls that the process has received and not answered, each with the client that it opens, or 0.
    running: HashMap<u64, u64>,
    clients: HashMap<u64, IsolatedClient>,
    /// The calls that reopen clients, each with its client.
    reopening: HashMap<u64, u64>,
    last_reopening: u64,
}

/// The state of the process.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The process has ended for this reason. The next call restarts it.
    Ended(Error),
    /// The plugin was dropped.
    ShutDown,
    /// The process accepts calls.
    Running(Connection),
    /// The process is starting. These calls wait until it runs.
    Starting(Vec<QueuedCall>),
}

/// The connection to a running process.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: Sender,
    /// Wakes the thread that reads from the process.
    pub(crate) wake: PipeWriter,
    /// True if that thread waits without a time limit, and must be woken.
    pub(crate) is_asleep: bool,
}

/// The calls that a process has not answered.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// The calls that it has received.
    pub(crate) started: Vec<u64>,
    /// The calls that waited for it or for their client.
    pub(crate) waiting: Vec<u64>,
}

/// A client. It outlives the process that it was opened in.
#[derive(Debug)]
struct IsolatedClient {
    /// The arguments to open it.
    open: Vec<u8>,
    state: ClientState,
}

#[derive(Debug)]
enum ClientState {
    /// The client is being reopened. These calls wait until it is open.
    Opening(Vec<QueuedCall>),
    /// The client is not open in the current process.
    Closed,
    /// The client is open in the process, or its first `open` call is running.
    Open,
}

/// A call that waits for the process or for its client.
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

    /// Returns the state of a process that the first call starts.
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

    /// Sends a call to the running process, or queues it until its client is open.
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

    /// Sends the waiting calls to a process that has started.
    pub(crate) fn started(&mut self, connection: Connection) {
        let before = std::mem::replace(&mut self.phase, Phase::Running(connection));
        if let Phase::Starting(waiting) = before {
            for queued in waiting {
                self.start(queued.slot, queued.client, queued.call, &queued.request());
            }
        }
    }

    /// Records that the process has ended or did not start. Returns the calls that the process will not answer.
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

    /// Records a reply of the process. Returns the calls that the reply answers: the call itself, or the calls that
    /// wait for a client that could not be reopened.
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

    /// Cancels a call. Returns true if the call was still waiting. The caller of this method must then answer the call.
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

    /// Allows a stream to send `chunks` more chunks.
    pub(crate) fn credit(&mut self, call: u64, chunks: u32) {
        if let (true, Phase::Running(connection)) = (self.running.contains_key(&call), &mut self.phase) {
            return connection.send(&Message::Credit { call, chunks });
        }
        let queued = self.waiting().flatten().find(|queued| queued.call == call);
        if let Some(queued) = queued {
            queued.credit = queued.credit.saturating_add(chunks);
        }
    }

    /// Closes a client.
    pub(crate) fn close(&mut self, client: u64) {
        let known = self.clients.remove(&client);
        if let (Some(IsolatedClient { state: ClientState::Open, .. }), Phase::Running(connection)) =
            (known, &mut self.phase)
        {
            connection.send(&Message::Close { client });
        }
    }

    /// Returns true if the process owes no reply.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.reopening.is_empty()
    }

    /// Returns every queue of waiting calls: that of the process, and those of its clients.
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
