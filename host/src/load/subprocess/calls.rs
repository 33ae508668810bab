//! The calls and clients of a plugin that runs in a process of its own: what is on its way, and what waits.
//!
//! Nothing here starts or ends a process, or talks to the host: it says what is to be said once the lock is free.

use std::collections::HashMap;
use std::io::{PipeWriter, Write};

use mlflow_deploy_plugin_api::ffi::abi::STATUS_OK;
use mlflow_deploy_plugin_api::ffi::{Request, Slot};
use mlflow_deploy_plugin_api::{Error, ErrorCode};

use super::message::Message;
use super::sender::Sender;

/// Ids of the calls that open clients anew: no call of the host's has one of these.
const OURS: u64 = 1 << 63;

/// Whether the call is one of the host's.
pub(crate) fn is_of_host(call: u64) -> bool {
    call < OURS
}

/// All that is known of a plugin's calls and clients.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) phase: Phase,
    /// The calls that the process owes a reply, each with the client that it opens, or 0.
    owed: HashMap<u64, u64>,
    clients: HashMap<u64, IsolatedClient>,
    /// The calls that open clients anew, each with its client.
    reopening: HashMap<u64, u64>,
    last_reopening: u64,
}

/// What the process is doing.
#[derive(Debug)]
pub(crate) enum Phase {
    /// It has ended, for this reason. The next call starts it anew.
    Ended(Error),
    /// The plugin was shut down.
    ShutDown,
    /// It can be called.
    Running(Connection),
    /// It is being started; these calls wait for it.
    Starting(Vec<QueuedCall>),
}

/// The way to a running process.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: Sender,
    /// Wakes whoever listens to the process.
    pub(crate) wake: PipeWriter,
    /// Whether that has to be done before it looks at the time.
    pub(crate) is_asleep: bool,
}

/// The calls that a process leaves behind.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// Those that were in it.
    pub(crate) begun: Vec<u64>,
    /// Those that waited for it, or for their client.
    pub(crate) waiting: Vec<u64>,
}

/// A client, which outlives the process that it was opened in.
#[derive(Debug)]
struct IsolatedClient {
    /// The arguments that it was opened with.
    open: Vec<u8>,
    state: ClientState,
}

#[derive(Debug)]
enum ClientState {
    /// It is being opened anew; these calls wait for that.
    Opening(Vec<QueuedCall>),
    /// It is not open in the process.
    Closed,
    /// It is open in the process, or about to be.
    Open,
}

/// A call that waits for the process, or for its client.
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
    pub(crate) fn new(link: Connection) -> Self {
        Self { phase: Phase::Running(link), ..Self::unstarted() }
    }

    /// None, of a process that the first call starts.
    pub(crate) fn unstarted() -> Self {
        let not_yet = Error::new(ErrorCode::PLUGIN_CRASHED, "the plugin's process has not been started");
        Self {
            phase: Phase::Ended(not_yet),
            owed: HashMap::new(),
            clients: HashMap::new(),
            reopening: HashMap::new(),
            last_reopening: OURS,
        }
    }

    /// Begins a call in the running process.
    pub(crate) fn begin(&mut self, slot: Slot, client: u64, call: u64, request: &Request<'_>) {
        let Phase::Running(link) = &mut self.phase else { return };
        let known = self.clients.get_mut(&client);
        match (slot, known) {
            (Slot::Open, _) => {
                self.clients.insert(client, IsolatedClient { open: request.head.to_vec(), state: ClientState::Open });
                self.owed.insert(call, client);
                link.send(&Message::Call { slot, client, call, request: *request });
            }
            (_, Some(IsolatedClient { state: ClientState::Opening(held), .. })) => {
                held.push(QueuedCall::new(slot, client, call, request));
            }
            (_, Some(IsolatedClient { open, state: state @ ClientState::Closed })) => {
                *state = ClientState::Opening(vec![QueuedCall::new(slot, client, call, request)]);
                self.last_reopening += 1;
                self.reopening.insert(self.last_reopening, client);
                let request = Request { timeout_ms: request.timeout_ms, head: open, ..Request::default() };
                link.send(&Message::Call { slot: Slot::Open, client, call: self.last_reopening, request });
            }
            (_, Some(IsolatedClient { state: ClientState::Open, .. }) | None) => {
                self.owed.insert(call, 0);
                link.send(&Message::Call { slot, client, call, request: *request });
            }
        }
    }

    /// The process has been started: what waited for it begins.
    pub(crate) fn started(&mut self, link: Connection) {
        let before = std::mem::replace(&mut self.phase, Phase::Running(link));
        if let Phase::Starting(waiting) = before {
            for held in waiting {
                self.begin(held.slot, held.client, held.call, &held.request());
            }
        }
    }

    /// The process has ended, or could not be started: gives the calls that will not be answered.
    pub(crate) fn ended(&mut self, why: Error) -> Unanswered {
        let (begun, mut waiting_calls) = (self.owed.keys().copied().collect(), Vec::new());
        // Whoever opened them learns that it failed.
        for (_, opened) in self.owed.drain() {
            self.clients.remove(&opened);
        }
        for client in self.clients.values_mut() {
            if let ClientState::Opening(waiting) = std::mem::replace(&mut client.state, ClientState::Closed) {
                waiting_calls.extend(waiting.iter().map(|held| held.call));
            }
        }
        self.reopening.clear();
        if let Phase::Starting(waiting) = std::mem::replace(&mut self.phase, Phase::Ended(why)) {
            waiting_calls.extend(waiting.iter().map(|held| held.call));
        }
        Unanswered { begun, waiting: waiting_calls }
    }

    /// Notes a reply of the process; gives the calls that it answers.
    pub(crate) fn replied(&mut self, call: u64, status: u32) -> Vec<u64> {
        let Some(id) = self.reopening.remove(&call) else {
            if let (Some(opened), true) = (self.owed.remove(&call), status != STATUS_OK) {
                self.clients.remove(&opened);
            }
            return vec![call];
        };
        let Phase::Running(link) = &mut self.phase else { return Vec::new() };
        let Some(client) = self.clients.get_mut(&id) else {
            // It was closed while it was opened anew.
            if status == STATUS_OK {
                link.send(&Message::Close { client: id });
            }
            return Vec::new();
        };
        let state = if status == STATUS_OK { ClientState::Open } else { ClientState::Closed };
        let ClientState::Opening(waiting) = std::mem::replace(&mut client.state, state) else { return Vec::new() };
        if status != STATUS_OK {
            return waiting.iter().map(|held| held.call).collect();
        }
        for held in waiting {
            self.owed.insert(held.call, 0);
            let QueuedCall { slot, client, call, .. } = held;
            link.send(&Message::Call { slot, client, call, request: held.request() });
        }
        Vec::new()
    }

    /// Gives a call up; true where it was waiting, and so is answered by nobody else.
    pub(crate) fn cancel(&mut self, call: u64) -> bool {
        if let (true, Phase::Running(link)) = (self.owed.contains_key(&call), &mut self.phase) {
            link.send(&Message::Cancel { call });
            return false;
        }
        self.waiting().any(|waiting| {
            let state = waiting.iter().position(|held| held.call == call);
            state.map(|state| waiting.remove(state)).is_some()
        })
    }

    /// Allows a stream this many more chunks.
    pub(crate) fn credit(&mut self, call: u64, chunks: u32) {
        if let (true, Phase::Running(link)) = (self.owed.contains_key(&call), &mut self.phase) {
            return link.send(&Message::Credit { call, chunks });
        }
        let held = self.waiting().flatten().find(|held| held.call == call);
        if let Some(held) = held {
            held.credit = held.credit.saturating_add(chunks);
        }
    }

    /// Forgets a client.
    pub(crate) fn close(&mut self, client: u64) {
        let known = self.clients.remove(&client);
        if let (Some(IsolatedClient { state: ClientState::Open, .. }), Phase::Running(link)) = (known, &mut self.phase)
        {
            link.send(&Message::Close { client });
        }
    }

    /// Whether the process owes anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.owed.is_empty() && self.reopening.is_empty()
    }

    /// All that waits: for the process, or for a client.
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
            // One that cannot be woken has gone.
            let _gone = self.wake.write(&[0]);
        }
    }
}
