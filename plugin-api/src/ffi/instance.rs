//! One instance of a plugin: its clients and the calls on their way, by the ids that the host chose.
//!
//! Ids are looked up, so a late or wrong one does no harm. No lock is held while the host or the plugin's code runs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use super::contain::contain;
use super::host::Host;
use super::runtime::{Runtime, within};
use super::task::{Outcome, Stop, Task};
use crate::call::{Context, Event, Level};
use crate::{Chunks, Error, ErrorCode, Payload, Result};

/// How many cancels of calls that have not arrived yet are remembered.
const EARLY_CANCELS: usize = 1024;

/// An instance of the plugin whose client is `C`. It lives as long as the process: the host may call late.
pub(super) struct Instance<C> {
    pub(super) host: Host,
    process: u32,
    runtime: Runtime,
    state: Mutex<State<C>>,
    call_ended: Notify,
}

struct State<C> {
    clients: HashMap<u64, Arc<Client<C>>>,
    calls: HashMap<u64, Call>,
    early_cancels: VecDeque<u64>,
    shut_down: bool,
}

/// A client, and the panic that ended it where there was one.
pub(super) struct Client<C> {
    pub(super) value: C,
    panicked: OnceLock<String>,
}

struct Call {
    client: u64,
    stop: Arc<Stop>,
    credit: Arc<Semaphore>,
}

/// What the host says of a call beside its arguments.
#[derive(Clone, Copy)]
pub(super) struct Order {
    pub(super) call: u64,
    /// The client, 0 for a call of the plugin itself.
    pub(super) client: u64,
    pub(super) credit: u32,
    pub(super) timeout: Option<Duration>,
}

impl<C: Send + Sync + 'static> Instance<C> {
    pub(super) fn new(host: Host) -> Self {
        Self {
            host,
            process: std::process::id(),
            runtime: Runtime::default(),
            state: Mutex::new(State {
                clients: HashMap::new(),
                calls: HashMap::new(),
                early_cancels: VecDeque::new(),
                shut_down: false,
            }),
            call_ended: Notify::new(),
        }
    }

    /// Starts a call: `work` gets the stream's chunks and gives the answer.
    pub(super) fn start<W, F>(&'static self, order: Order, work: W)
    where
        W: FnOnce(Chunks) -> F + Send + 'static,
        F: Future<Output = Result<Payload>> + Send,
    {
        let host = self.host;
        if let Err(error) = self.runtime.prepare() {
            let message = format!("failed to start the plugin's runtime: {error}");
            return host.reply(order.call, Err(Error::internal(message)));
        }
        let stop = Arc::<Stop>::default();
        let credit = Arc::new(Semaphore::new(order.credit as usize));
        if let Err(refusal) =
            self.register(order, Call { client: order.client, stop: Arc::clone(&stop), credit: Arc::clone(&credit) })
        {
            return host.reply(order.call, Err(refusal));
        }
        let context = Context {
            // A deadline beyond what a clock can say is none.
            deadline: order.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            listener: Arc::new(move |level, event| host.event(order.call, level, event)),
            cancellation: Arc::default(),
            secrets: Arc::default(),
            host,
        };
        let chunks = Chunks::new(move |chunk| host.chunk(order.call, &chunk), credit);
        let finish = move |outcome| self.finish(order, outcome);
        // The work is made inside the task: what its author does before the first await is contained as well.
        let task = Task::new(async move { within(order.timeout, work(chunks)).await }, stop, context, finish);
        if let Err(error) = self.runtime.spawn(task) {
            host.event(order.call, Level::Error, &said(format!("failed to start the plugin's runtime: {error}")));
        }
    }

    /// Refuses a call that cannot start, or notes it as on its way.
    fn register(&self, order: Order, call: Call) -> Result<()> {
        self.refuse_after_fork()?;
        let mut state = self.lock();
        if let Some(position) = state.early_cancels.iter().position(|early| *early == order.call) {
            state.early_cancels.remove(position);
            return Err(cancelled());
        }
        if state.shut_down {
            return Err(Error::new(ErrorCode::CANCELLED, "the plugin was shut down"));
        }
        // Under the lock: a panic stops the calls that are noted, and refuses those that come after.
        if let Some(message) = state.clients.get(&order.client).and_then(|client| client.panicked.get()) {
            return Err(panicked(message));
        }
        state.calls.insert(order.call, call);
        Ok(())
    }

    /// Answers a call whose task has ended.
    fn finish(&self, order: Order, outcome: Outcome) {
        let answer = match outcome {
            Outcome::Answered(answer) => answer,
            Outcome::Panicked(message) => {
                let error = panicked(&message);
                let stopped = self.lock().poison(order, &message);
                for stop in stopped {
                    stop.stop(error.clone());
                }
                Err(error)
            }
        };
        // Bound to no name: the lock is free again before the host, which may call back, is called.
        self.lock().calls.remove(&order.call);
        self.host.reply(order.call, answer);
        self.call_ended.notify_waiters();
    }

    /// Keeps a client that `open` made, unless the open was cancelled in the meantime.
    pub(super) fn keep(&self, order: Order, value: C) -> Result<()> {
        let mut state = self.lock();
        let verdict = state.calls.get(&order.call).and_then(|call| call.stop.verdict().cloned());
        if let Some(verdict) = verdict.or_else(|| state.shut_down.then(cancelled)) {
            drop(state);
            return Err(verdict);
        }
        state.clients.insert(order.client, Arc::new(Client { value, panicked: OnceLock::new() }));
        Ok(())
    }

    /// A client by its id.
    pub(super) fn client(&self, id: u64) -> Result<Arc<Client<C>>> {
        self.refuse_after_fork()?;
        let client = self.lock().clients.get(&id).map(Arc::clone);
        client.ok_or_else(|| Error::internal(format!("client {id} is not open")))
    }

    /// Forgets a client. What its author does on drop happens on the plugin's own thread.
    pub(super) fn close(&'static self, id: u64) {
        if self.has_forked() {
            return;
        }
        let Some(client) = self.lock().clients.remove(&id) else { return };
        let dropping = async move {
            if let Err(message) = contain(|| drop(client)) {
                self.report_panic("closing a client", &message);
            }
        };
        if let Err(error) = self.runtime.spawn(dropping) {
            self.host.event(0, Level::Error, &said(format!("failed to start the plugin's runtime: {error}")));
        }
    }

    /// Stops a call, now or when it arrives.
    pub(super) fn cancel(&self, call: u64) {
        if self.has_forked() {
            return;
        }
        let mut state = self.lock();
        let stop = state.calls.get(&call).map(|call| Arc::clone(&call.stop));
        match stop {
            Some(stop) => {
                drop(state);
                stop.stop(cancelled());
            }
            None => {
                if state.early_cancels.len() == EARLY_CANCELS {
                    state.early_cancels.pop_front();
                }
                state.early_cancels.push_back(call);
            }
        }
    }

    /// Allows a stream more chunks.
    pub(super) fn credit(&self, call: u64, chunks: u32) {
        if self.has_forked() {
            return;
        }
        let credit = self.lock().calls.get(&call).map(|call| Arc::clone(&call.credit));
        if let Some(credit) = credit {
            credit.add_permits(chunks as usize);
        }
    }

    /// Stops every call, closes every client, and answers once that is done.
    pub(super) fn shut_down(&'static self, call: u64) {
        if self.has_forked() {
            return self.host.reply(call, Ok(Payload::empty()));
        }
        let mut state = self.lock();
        if std::mem::replace(&mut state.shut_down, true) {
            drop(state);
            return self.host.reply(call, Ok(Payload::empty()));
        }
        let stops: Vec<_> = state.calls.values().map(|call| Arc::clone(&call.stop)).collect();
        let clients: Vec<_> = state.clients.drain().map(|(_, client)| client).collect();
        drop(state);
        for stop in stops {
            stop.stop(cancelled());
        }
        let closing = async move {
            loop {
                let ended = self.call_ended.notified();
                if self.lock().calls.is_empty() {
                    break;
                }
                ended.await;
            }
            // One by one: a second panic in the course of the first would end the process.
            for client in clients {
                if let Err(message) = contain(|| drop(client)) {
                    self.report_panic("closing a client", &message);
                }
            }
            self.host.reply(call, Ok(Payload::empty()));
            self.runtime.shut_down();
        };
        if let Err(error) = self.runtime.spawn(closing) {
            self.host.reply(call, Err(Error::internal(format!("failed to start the plugin's runtime: {error}"))));
        }
    }

    /// Says that the plugin panicked where no reply can.
    pub(super) fn report_panic(&self, doing: &str, message: &str) {
        self.host.event(0, Level::Error, &said(format!("the plugin panicked while {doing}: {message}")));
    }

    fn refuse_after_fork(&self) -> Result<()> {
        if self.has_forked() {
            return Err(Error::internal("the process has forked since the plugin was loaded: load it after the fork"));
        }
        Ok(())
    }

    /// After a fork the threads are gone and the locks may be held by nobody.
    fn has_forked(&self) -> bool {
        self.process != std::process::id()
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    /// Marks a call's client as panicked; returns what stops its calls.
    fn poison(&self, order: Order, message: &str) -> Vec<Arc<Stop>> {
        let Some(poisoned) = self.clients.get(&order.client) else { return Vec::new() };
        let first = poisoned.panicked.set(message.to_owned()).is_ok();
        let same_client = |call: &&Call| first && call.client == order.client;
        self.calls.values().filter(same_client).map(|call| Arc::clone(&call.stop)).collect()
    }
}

fn cancelled() -> Error {
    Error::new(ErrorCode::CANCELLED, "the call was cancelled")
}

/// What the caller of a panicked client gets.
pub(super) fn panicked(message: &str) -> Error {
    Error::new(ErrorCode::PLUGIN_PANICKED, format!("the plugin panicked: {message}"))
}

fn said(message: String) -> Event {
    Event { message, progress: None }
}
