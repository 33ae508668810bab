//! One instance of a plugin, as the plugin sees it: its open clients and running calls, by the ids that the host chose.
//!
//! Every id that the host passes is looked up, so a late or unknown id has no effect. No lock is held while code of the
//! host or the plugin runs.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use super::catch_unwind::catch_panic;
use super::host::Host;
use super::outside_call;
use super::runtime::{Runtime, within};
use super::task::{Outcome, Task};
use crate::call::Context;
use crate::event::{Event, Level};
use crate::{Chunks, Deadline, Error, ErrorCode, Payload, Result, sync};

/// The maximum number of stored cancellations of calls that have not arrived yet.
pub(super) const MAX_EARLY_CANCELS: usize = 1024;

/// An instance of a plugin whose clients have the type `C`. The instance is never freed, because the host may call it
/// at any later time.
pub(super) struct Instance<C> {
    pub(super) host: Host,
    process: u32,
    runtime: Runtime,
    state: Mutex<InstanceState<C>>,
    call_ended: Notify,
}

struct InstanceState<C> {
    clients: HashMap<u64, Arc<Client<C>>, RandomState>,
    calls: HashMap<u64, RunningCall, RandomState>,
    early_cancels: VecDeque<u64>,
    shut_down: bool,
}

/// An open client, and the message of its panic if it has panicked.
pub(super) struct Client<C> {
    pub(super) value: C,
    panicked: OnceLock<String>,
}

struct RunningCall {
    client: u64,
    context: Arc<Context>,
}

/// The parameters of a call apart from its arguments.
#[derive(Clone, Copy)]
pub(super) struct CallParams {
    pub(super) call: u64,
    /// The id of the client that the call belongs to; 0 for a call of the plugin itself.
    pub(super) client: u64,
    pub(super) credit: u32,
    pub(super) deadline: Option<Deadline>,
    /// True if the future of the call is first polled on the calling thread.
    pub(super) is_inline: bool,
}

impl<C: Send + Sync + 'static> Instance<C> {
    pub(super) fn new(host: Host) -> Self {
        outside_call::add(host);
        Self {
            host,
            process: std::process::id(),
            runtime: Runtime::default(),
            state: Mutex::new(InstanceState {
                clients: HashMap::default(),
                calls: HashMap::default(),
                early_cancels: VecDeque::new(),
                shut_down: false,
            }),
            call_ended: Notify::new(),
        }
    }

    /// Starts a call. `work` takes the sender of the call's chunks, and returns the future that runs the call.
    pub(super) fn start<W, F>(&'static self, order: CallParams, work: W)
    where
        W: FnOnce(Chunks) -> F + Send + 'static,
        F: Future<Output = Result<Payload>> + Send,
    {
        let host = self.host;
        let runtime = match self.runtime.handle() {
            Ok(runtime) => runtime,
            Err(error) => return host.reply(order.call, Err(Error::internal(not_started(&error)))),
        };
        let context = Arc::new(Context::new(order.call, host, order.deadline, order.credit));
        if let Err(error) = self.register(order, Arc::clone(&context)) {
            return host.reply(order.call, Err(error));
        }
        let chunks = Chunks::new(Arc::<Context>::clone(&context));
        let finish = move |outcome| self.finish(order, outcome);
        // The future is created inside of the task, so that a panic before its first await is caught as well.
        let work = async move { within(order.deadline, pin!(work(chunks))).await };
        let task = Task::new(work, context, finish);
        let started = if order.is_inline { runtime.poll_then_spawn(task) } else { runtime.spawn(task) };
        if let Err(error) = started {
            host.event(order.call, Level::Error, &event(not_started(&error)));
        }
    }

    /// Registers a call as running. Fails if the process has forked, the call was cancelled, the plugin was shut down,
    /// or the client has panicked.
    fn register(&self, order: CallParams, context: Arc<Context>) -> Result<()> {
        self.fail_after_fork()?;
        let mut state = self.lock();
        if let Some(position) = state.early_cancels.iter().position(|early| *early == order.call) {
            state.early_cancels.remove(position);
            return Err(cancelled());
        }
        if state.shut_down {
            return Err(Error::new(ErrorCode::CANCELLED, "the plugin was shut down"));
        }
        // Checked under the lock: a panic stops the calls that are registered, and this check fails the later ones.
        if let Some(message) = state.clients.get(&order.client).and_then(|client| client.panicked.get()) {
            return Err(panicked(message));
        }
        state.calls.insert(order.call, RunningCall { client: order.client, context });
        Ok(())
    }

    /// Replies to a call whose task has ended. If the task panicked, also stops the other calls of the same client.
    fn finish(&self, order: CallParams, outcome: Outcome) {
        let result = match outcome {
            Outcome::Answered(result) => result,
            Outcome::Panicked(message) => {
                let error = panicked(&message);
                let stopped = self.lock().poison(order, &message);
                for call in stopped {
                    call.stop.stop(error.clone());
                }
                Err(error)
            }
        };
        // The lock is released at the end of this statement, because the host may call back from `reply`.
        self.lock().calls.remove(&order.call);
        self.host.reply(order.call, result);
        self.call_ended.notify_waiters();
    }

    /// Stores a client that an `open` call created. Fails if the call was stopped or the plugin was shut down in the
    /// meantime.
    pub(super) fn keep(&self, order: CallParams, value: C) -> Result<()> {
        let mut state = self.lock();
        let stopped = state.calls.get(&order.call).and_then(|call| call.context.stop.error().cloned());
        if let Some(error) = stopped.or_else(|| state.shut_down.then(cancelled)) {
            drop(state);
            return Err(error);
        }
        state.clients.insert(order.client, Arc::new(Client { value, panicked: OnceLock::new() }));
        Ok(())
    }

    /// Looks up a client by its id. Fails if the client is not open.
    pub(super) fn client(&self, id: u64) -> Result<Arc<Client<C>>> {
        self.fail_after_fork()?;
        let client = self.lock().clients.get(&id).map(Arc::clone);
        client.ok_or_else(|| Error::internal(format!("client {id} is not open")))
    }

    /// Closes a client. The client is dropped on a thread of the plugin, not on the calling thread.
    pub(super) fn close(&'static self, id: u64) {
        if self.has_forked() {
            return;
        }
        let Some(client) = self.lock().clients.remove(&id) else { return };
        let dropping = async move {
            if let Err(message) = catch_panic(|| drop(client)) {
                self.report_panic("closing a client", &message);
            }
        };
        if let Err(error) = self.runtime.handle().and_then(|runtime| runtime.spawn(dropping)) {
            self.host.event(0, Level::Error, &event(not_started(&error)));
        }
    }

    /// Cancels a call. If the call has not arrived yet, stores the cancellation until the call arrives.
    pub(super) fn cancel(&self, call: u64) {
        if self.has_forked() {
            return;
        }
        let mut state = self.lock();
        let running = state.calls.get(&call).map(|call| Arc::clone(&call.context));
        match running {
            Some(running) => {
                drop(state);
                running.stop.stop(cancelled());
            }
            None => {
                if state.early_cancels.len() == MAX_EARLY_CANCELS {
                    state.early_cancels.pop_front();
                }
                state.early_cancels.push_back(call);
            }
        }
    }

    /// Allows the stream of a call to send `chunks` more chunks.
    pub(super) fn credit(&self, call: u64, chunks: u32) {
        if self.has_forked() {
            return;
        }
        let running = self.lock().calls.get(&call).map(|call| Arc::clone(&call.context));
        if let Some(running) = running {
            running.credit.add_permits(chunks as usize);
        }
    }

    /// Cancels all calls, closes all clients, and then replies to `call`.
    pub(super) fn shut_down(&'static self, call: u64) {
        if self.has_forked() {
            return self.host.reply(call, Ok(Payload::empty()));
        }
        let mut state = self.lock();
        if std::mem::replace(&mut state.shut_down, true) {
            drop(state);
            return self.host.reply(call, Ok(Payload::empty()));
        }
        outside_call::remove(self.host);
        let running: Vec<_> = state.calls.values().map(|call| Arc::clone(&call.context)).collect();
        let clients: Vec<_> = state.clients.drain().map(|(_, client)| client).collect();
        drop(state);
        for call in running {
            call.stop.stop(cancelled());
        }
        let closing = async move {
            loop {
                let ended = self.call_ended.notified();
                if self.lock().calls.is_empty() {
                    break;
                }
                ended.await;
            }
            // One by one: a panic during another panic would end the process.
            for client in clients {
                if let Err(message) = catch_panic(|| drop(client)) {
                    self.report_panic("closing a client", &message);
                }
            }
            self.host.reply(call, Ok(Payload::empty()));
            self.runtime.shut_down();
        };
        if let Err(error) = self.runtime.handle().and_then(|runtime| runtime.spawn(closing)) {
            self.host.reply(call, Err(Error::internal(not_started(&error))));
        }
    }

    /// Reports a panic in an action that has no reply, such as closing a client. The report is an event.
    pub(super) fn report_panic(&self, action: &str, message: &str) {
        self.host.event(0, Level::Error, &event(format!("the plugin panicked while {action}: {message}")));
    }

    fn fail_after_fork(&self) -> Result<()> {
        if self.has_forked() {
            return Err(Error::internal(
                "the process forked after the plugin was loaded: load the plugin after the fork",
            ));
        }
        Ok(())
    }

    /// Returns true in a fork of the process that created the instance. The plugin's threads do not exist there, and a
    /// lock may stay locked forever.
    fn has_forked(&self) -> bool {
        self.process != std::process::id()
    }

    fn lock(&self) -> MutexGuard<'_, InstanceState<C>> {
        sync::lock(&self.state)
    }
}

impl<C> InstanceState<C> {
    /// Marks the client of a call as panicked. Returns all calls of the client.
    fn poison(&self, order: CallParams, message: &str) -> Vec<Arc<Context>> {
        let Some(poisoned) = self.clients.get(&order.client) else { return Vec::new() };
        let first = poisoned.panicked.set(message.to_owned()).is_ok();
        let same_client = |call: &&RunningCall| first && call.client == order.client;
        self.calls.values().filter(same_client).map(|call| Arc::clone(&call.context)).collect()
    }
}

fn cancelled() -> Error {
    Error::new(ErrorCode::CANCELLED, "the call was cancelled")
}

/// Returns the error of a call that panicked, or whose client panicked before.
pub(super) fn panicked(message: &str) -> Error {
    Error::new(ErrorCode::PLUGIN_PANICKED, format!("the plugin panicked: {message}"))
}

fn not_started(error: &io::Error) -> String {
    format!("failed to start the plugin's runtime: {error}")
}

fn event(message: String) -> Event {
    Event { message, progress: None }
}
