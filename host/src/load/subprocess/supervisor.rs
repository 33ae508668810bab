//! Calls a plugin that runs in its own process. Every call gets exactly one reply, even if the process dies, hangs or
//! is restarted.
//!
//! A client outlives the process in which it was opened. The client's next call first reopens the client in the new
//! process, with the same options. The supervisor holds none of its locks during callbacks to the host.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::ffi::abi::{STATUS_ERROR, STATUS_OK};
use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, PluginTransport, Request, Slot};
use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{Error, ErrorCode, sync};

use super::calls::{Calls, Connection, Phase, QueuedCall, Unanswered, is_of_host};
use super::child::{Child, Wake};
use super::message::{Message, number, to_json};
use super::process_exit::ProcessExit;
use super::spawn_config::SpawnConfig;
use crate::LoadError;
use crate::discovery::digest::Identity;
use crate::discovery::process_program::ProcessProgram;

/// The interval between pings to a process that owes a reply.
const TICK: Duration = Duration::from_secs(1);

/// The maximum number of starts of a process within `START_WINDOW`.
const MAX_STARTS: usize = 5;

const START_WINDOW: Duration = Duration::from_secs(60);

/// A plugin that runs in its own process. Dropping the value ends the process without waiting for its exit.
#[derive(Debug)]
pub(crate) struct Supervisor(Arc<SupervisorState>);

struct SupervisorState {
    config: SpawnConfig,
    /// The identity of the plugin's files when it was first loaded. The process is not restarted from changed files.
    identity: Identity,
    host: Arc<dyn HostCallbacks>,
    /// The functions (slots) that the plugin has, one bit for each.
    slots: AtomicU64,
    calls: Mutex<Calls>,
    /// The times of the most recent starts of the process.
    starts: Mutex<VecDeque<Instant>>,
    /// The function that is called when the process has ended unexpectedly.
    on_exit: Box<dyn Fn(&ProcessExit) + Send + Sync>,
}

impl Supervisor {
    /// Starts the process and waits until the plugin is loaded. When the process ends unexpectedly, the supervisor
    /// calls `on_exit` and then fails the unanswered calls.
    pub(crate) fn start(
        config: SpawnConfig,
        host: Arc<dyn HostCallbacks>,
        on_exit: Box<dyn Fn(&ProcessExit) + Send + Sync>,
    ) -> Result<Self, LoadError> {
        let identity = Identity::of_all(&config.files).map_err(|error| LoadError::Unreadable(error.to_string()))?;
        let (child, slots) = Child::start(&config, host.as_ref())?;
        let (connection, wake) = connect(&child).map_err(|error| LoadError::PluginHost(error.to_string()))?;
        let (calls, starts) = (Mutex::new(Calls::new(connection)), Mutex::new(VecDeque::from([Instant::now()])));
        let slots = AtomicU64::new(slots);
        let state = Arc::new(SupervisorState { config, identity, host, slots, calls, starts, on_exit });
        let reader = Arc::clone(&state);
        spawn(move || reader.run_loop(child, &wake)).map_err(|error| LoadError::PluginHost(error.to_string()))?;
        Ok(Self(state))
    }

    /// Returns a supervisor that starts the process on the first call. Until then, the plugin counts as having every
    /// slot.
    pub(crate) fn unstarted(config: SpawnConfig, identity: Identity, host: Arc<dyn HostCallbacks>) -> Self {
        let (slots, starts, on_exit) = (AtomicU64::new(u64::MAX), Mutex::default(), Box::new(|_: &ProcessExit| {}));
        let calls = Mutex::new(Calls::unstarted());
        Self(Arc::new(SupervisorState { config, identity, host, slots, calls, starts, on_exit }))
    }
}

impl PluginTransport for Supervisor {
    fn has(&self, slot: Slot) -> bool {
        self.0.slots.load(Ordering::Relaxed) & 1 << number(slot) != 0
    }

    fn call(&self, slot: Slot, client: u64, call: u64, request: &Request<'_>) {
        if let Err(too_large) = (Message::Call { slot, client, call, request: *request }).check_size() {
            return self.0.fail(&[call], &to_json(&too_large));
        }
        let mut calls = self.0.lock();
        let error = match &mut calls.phase {
            Phase::Running(_) => return calls.start(slot, client, call, request),
            Phase::Starting(waiting) => return waiting.push(QueuedCall::new(slot, client, call, request)),
            Phase::Ended(_) | Phase::ShutDown if slot == Slot::Shutdown => None,
            Phase::ShutDown => Some(Error::new(ErrorCode::CANCELLED, "the plugin was shut down")),
            Phase::Ended(why) => match self.0.may_start(why) {
                Ok(()) => {
                    calls.phase = Phase::Starting(vec![QueuedCall::new(slot, client, call, request)]);
                    drop(calls);
                    return self.0.restart();
                }
                Err(error) => Some(error),
            },
        };
        drop(calls);
        match error {
            Some(error) => self.0.fail(&[call], &to_json(&error)),
            // A plugin that does not run needs no shutdown.
            None => self.0.host.reply(call, STATUS_OK, BorrowedReply { head: Some(&[]), body: Some(&[]) }),
        }
    }

    fn close(&self, client: u64) {
        self.0.lock().close(client);
    }

    fn cancel(&self, call: u64) {
        let was_waiting = self.0.lock().cancel(call);
        if was_waiting {
            self.0.fail(&[call], &to_json(&Error::new(ErrorCode::CANCELLED, "the call was cancelled")));
        }
    }

    fn credit(&self, call: u64, chunks: u32) {
        self.0.lock().credit(call, chunks);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Phase::Running(connection) = std::mem::replace(&mut self.0.lock().phase, Phase::ShutDown) {
            // The process ends by itself. Dropping the connection closes the pipe, which wakes the reading thread.
            connection.sender.finish();
        }
    }
}

impl SupervisorState {
    /// Reads and handles the messages of the process until the process ends.
    fn run_loop(self: Arc<Self>, mut child: Child, wake: &PipeReader) {
        let mut next_tick = Instant::now() + TICK;
        let mut is_asleep = false;
        // The ticks since an unanswered ping.
        let mut unanswered = None;
        let exit = loop {
            let limit = (!is_asleep).then(|| next_tick.saturating_duration_since(Instant::now()));
            let woken = child.wait(limit, Some(wake), self.host.as_ref());
            if woken == Wake::End {
                break child.wait_for_exit();
            }
            is_asleep = false;
            match self.dispatch_messages(&mut child) {
                Ok(true) => unanswered = None,
                Ok(false) => {}
                Err(why) => break child.end(format!("sent an invalid message and was killed: {why}")),
            }
            let mut calls = self.lock();
            let is_idle = calls.is_idle();
            let Phase::Running(connection) = &mut calls.phase else {
                drop(calls);
                if let Some(exit) = child.finish(self.host.as_ref()) {
                    (self.on_exit)(&exit);
                    let event = serde_json::json!({ "message": format!("the plugin's process {exit}") });
                    self.host.event(0, Level::Warn as u32, Some(event.to_string().as_bytes()));
                }
                return;
            };
            // Another thread writes to the pipe while this one sleeps, which may be at the same time as a message arrives.
            if woken == Wake::Nothing {
                let _empty = { wake }.read(&mut [0; 16]);
            }
            if Instant::now() < next_tick {
                continue;
            }
            // Counts one tick, regardless of the elapsed time, because the host itself may have been stopped.
            next_tick = Instant::now() + TICK;
            if is_idle {
                (is_asleep, connection.is_asleep, unanswered) = (true, true, None);
                continue;
            }
            if unanswered.is_none() {
                connection.sender.send(&Message::Ping);
            }
            let ticks = unanswered.map_or(0, |ticks: u32| ticks + 1);
            unanswered = Some(ticks);
            drop(calls);
            if child.has_exited() {
                break child.wait_for_exit();
            }
            let max_ticks = self.config.max_silence_s;
            if ticks >= max_ticks {
                break child.end(format!("did not respond for {max_ticks} s and was killed"));
            }
        };
        (self.on_exit)(&exit);
        let error = crashed(&exit);
        let unanswered = self.lock().ended(error.clone());
        self.fail_all(&unanswered, error);
    }

    /// Handles the messages that have arrived from the process. Returns true if one of them is a pong.
    fn dispatch_messages(&self, child: &mut Child) -> Result<bool, String> {
        let mut has_pong = false;
        while let Some(message) = child.next().map_err(|malformed| malformed.0)? {
            match message {
                Message::Reply { call, status, reply } => {
                    let answered = self.lock().replied(call, status);
                    answered.iter().for_each(|call| self.host.reply(*call, status, reply));
                }
                Message::Chunk { call, chunk } => self.host.chunk(call, chunk),
                Message::Event { call, level, json } => {
                    self.host.event(if is_of_host(call) { call } else { 0 }, level, json);
                }
                Message::Pong => has_pong = true,
                _ => return Err("only the host may send messages of this kind".to_owned()),
            }
        }
        Ok(has_pong)
    }

    /// Fails if the process was started too often within the last minute. `why` is the reason for the last end of the
    /// process.
    fn may_start(&self, why: &Error) -> Result<(), Error> {
        let mut starts = sync::lock(&self.starts);
        while starts.front().is_some_and(|start| start.elapsed() >= START_WINDOW) {
            starts.pop_front();
        }
        match starts.front() {
            Some(first) if starts.len() >= MAX_STARTS => {
                let wait = START_WINDOW.saturating_sub(first.elapsed());
                let message = format!(
                    "the plugin's process was started {MAX_STARTS} times within {} s; it is not restarted for another {} s: {why}",
                    START_WINDOW.as_secs(),
                    wait.as_secs() + 1,
                );
                Err(Error::new(ErrorCode::PLUGIN_CRASHED, message).retryable().with_retry_after(wait))
            }
            _ => {
                starts.push_back(Instant::now());
                Ok(())
            }
        }
    }

    /// Starts the process again on a new thread. The thread then reads the messages of the process.
    fn restart(self: &Arc<Self>) {
        let state = Arc::clone(self);
        let work = move || {
            if state.identity.check(&state.config.files).is_err() {
                // Another attempt would fail too.
                let message = "failed to restart the plugin's process: one of its files has changed since it was loaded; \
                               open the target again";
                let error = Error::new(ErrorCode::PLUGIN_CRASHED, message);
                let unanswered = state.lock().ended(error.clone());
                state.fail(&unanswered.started, &to_json(&error));
                return state.fail(&unanswered.waiting, &to_json(&error));
            }
            let started = Child::start(&state.config, state.host.as_ref()).map_err(|error| error.to_string());
            let connected = started.and_then(|(child, slots)| {
                let (connection, wake) = connect(&child).map_err(|error| error.to_string())?;
                Ok((child, slots, connection, wake))
            });
            match connected {
                Err(why) => state.fail_start(&why),
                Ok((child, slots, connection, wake)) => {
                    state.slots.store(slots, Ordering::Relaxed);
                    let mut calls = state.lock();
                    if !matches!(calls.phase, Phase::ShutDown) {
                        calls.started(connection);
                    }
                    drop(calls);
                    state.run_loop(child, &wake);
                }
            }
        };
        if let Err(error) = spawn(work) {
            self.fail_start(&format!("cannot create a thread: {error}"));
        }
    }

    fn fail_start(&self, why: &str) {
        let message = format!("failed to restart the plugin's process: {why}");
        let error = Error::new(ErrorCode::PLUGIN_CRASHED, message);
        let unanswered = self.lock().ended(error.clone());
        self.fail_all(&unanswered, error);
    }

    /// Fails the unanswered calls of a process that has ended. The error of a call that the process has not received is
    /// retryable.
    fn fail_all(&self, unanswered: &Unanswered, error: Error) {
        self.fail(&unanswered.started, &to_json(&error));
        self.fail(&unanswered.waiting, &to_json(&error.retryable()));
    }

    fn fail(&self, calls: &[u64], error: &[u8]) {
        let reply = BorrowedReply { head: Some(&[]), body: Some(error) };
        calls.iter().for_each(|call| self.host.reply(*call, STATUS_ERROR, reply));
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        sync::lock(&self.calls)
    }
}

impl std::fmt::Debug for SupervisorState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SupervisorState").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Starts a plugin in its own process, as a [`Host`](crate::Host) starts an isolated plugin. This function is meant for
/// programs that check plugins. `library` is the file of the plugin, and `program` is the result of
/// [`plugin_host`](crate::plugin_host), which a process plugin does not need. The process sees the
/// environment variables that the manifest declares, and those that every program needs. Blocks until the plugin is
/// loaded and started.
///
/// The returned transport calls the plugin, and passes the results to `host`. Each call gets exactly one reply, even if
/// the process dies. When the process ends unexpectedly, `on_exit` is called before the unanswered calls fail.
/// `on_exit` must not block its thread. The next call restarts the process. Dropping the transport ends the process: it
/// is killed if it does not exit within three seconds, and then `on_exit` is called too. `on_exit` is dropped after that.
///
/// # Errors
/// [`LoadError::PluginHost`] if the program cannot be used. Any other error concerns the plugin.
pub fn isolate(
    program: &Path,
    library: &Path,
    manifest: &Manifest,
    host: Arc<dyn HostCallbacks>,
    on_exit: Box<dyn Fn(&ProcessExit) + Send + Sync>,
) -> Result<impl PluginTransport + use<>, LoadError> {
    let environment = SpawnConfig::environment(manifest, &[]);
    let config = match manifest.is_process() {
        true => SpawnConfig::process(ProcessProgram::find(library, manifest)?, manifest, environment),
        false => SpawnConfig::library(program.to_owned(), library.to_owned(), environment),
    };
    Supervisor::start(config, host, on_exit)
}

/// Returns the connection to a process. Also returns the pipe by which another thread wakes the thread that reads from
/// the process.
fn connect(child: &Child) -> io::Result<(Connection, PipeReader)> {
    let (woken, wake) = io::pipe()?;
    rustix::io::ioctl_fionbio(&woken, true)?;
    Ok((Connection { sender: child.sender()?, wake, is_asleep: false }, woken))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("mlflow-deploy-child".to_owned()).spawn(work).map(drop)
}

/// Returns the error for the unanswered calls of a process that has died.
fn crashed(exit: &ProcessExit) -> Error {
    let error = Error::new(ErrorCode::PLUGIN_CRASHED, format!("the plugin's process {exit}"));
    exit.log().iter().fold(error, |error, line| error.with_cause(&io::Error::other(format!("its log: {line}"))))
}
