//! A plugin in a process of its own, as the host calls it: the process may die, hang and be started anew, and every
//! call still gets its one reply.
//!
//! A client outlives the process that it was opened in: its next call opens it again in the new one, with the options
//! that it was made with, and waits for that. No lock is held while the host is talked to.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::ffi::abi::{STATUS_ERROR, STATUS_OK};
use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, PluginTransport, Request, Slot};
use mlflow_deploy_plugin_api::{Error, ErrorCode};

use super::calls::{Calls, Connection, Phase, QueuedCall, Unanswered, is_of_host};
use super::child::{Child, SpawnConfig, Wake};
use super::message::{Message, number, to_json};
use super::process_exit::ProcessExit;
use crate::LoadError;
use crate::discovery::digest::Identity;

/// How often a process that owes a reply is asked whether anybody is there.
const TICK: Duration = Duration::from_secs(1);

/// How many ticks it may take to say so. A slot may take 50 ms.
const PATIENCE: u32 = 10;

/// A process may be started this many times…
const STARTS: usize = 5;

/// …within this time.
const WITHIN: Duration = Duration::from_secs(60);

/// A plugin in a process of its own. Dropping it ends the process, in time.
#[derive(Debug)]
pub(crate) struct Supervisor(Arc<Shared>);

struct Shared {
    recipe: SpawnConfig,
    /// The library as it was when it was loaded first.
    identity: Identity,
    host: Arc<dyn HostCallbacks>,
    /// The slots that the plugin has.
    slots: AtomicU64,
    calls: Mutex<Calls>,
    /// When the process was started, lately.
    starts: Mutex<VecDeque<Instant>>,
    /// Whoever is told that it has died.
    died: Box<dyn Fn(&ProcessExit) + Send + Sync>,
}

impl Supervisor {
    /// Starts the process and waits until the plugin has been loaded in it. `died` is told of each of its ends that
    /// nobody has asked for, before any call is.
    pub(crate) fn start(
        recipe: SpawnConfig,
        host: Arc<dyn HostCallbacks>,
        died: Box<dyn Fn(&ProcessExit) + Send + Sync>,
    ) -> Result<Self, LoadError> {
        let identity = Identity::at(&recipe.library).map_err(|error| LoadError::Unreadable(error.to_string()))?;
        let (child, slots) = Child::start(&recipe, host.as_ref())?;
        let (link, wake) = link(&child).map_err(|error| LoadError::PluginHost(error.to_string()))?;
        let (calls, starts) = (Mutex::new(Calls::new(link)), Mutex::new(VecDeque::from([Instant::now()])));
        let shared = Arc::new(Shared { recipe, identity, host, slots: AtomicU64::new(slots), calls, starts, died });
        let attending = Arc::clone(&shared);
        spawn(move || attending.run_loop(child, &wake)).map_err(|error| LoadError::PluginHost(error.to_string()))?;
        Ok(Self(shared))
    }

    /// One whose process the first call starts. Until then every slot is taken to be there.
    pub(crate) fn unstarted(recipe: SpawnConfig, identity: Identity, host: Arc<dyn HostCallbacks>) -> Self {
        let (slots, starts, died) = (AtomicU64::new(u64::MAX), Mutex::default(), Box::new(|_: &ProcessExit| {}));
        Self(Arc::new(Shared { recipe, identity, host, slots, calls: Mutex::new(Calls::unstarted()), starts, died }))
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
        let refusal = match &mut calls.phase {
            Phase::Running(_) => return calls.begin(slot, client, call, request),
            Phase::Starting(waiting) => return waiting.push(QueuedCall::new(slot, client, call, request)),
            Phase::Ended(_) | Phase::ShutDown if slot == Slot::Shutdown => None,
            Phase::ShutDown => Some(Error::new(ErrorCode::CANCELLED, "the plugin was shut down")),
            Phase::Ended(why) => match self.0.may_start(why) {
                Ok(()) => {
                    calls.phase = Phase::Starting(vec![QueuedCall::new(slot, client, call, request)]);
                    drop(calls);
                    return self.0.start_anew();
                }
                Err(refusal) => Some(refusal),
            },
        };
        drop(calls);
        match refusal {
            Some(refusal) => self.0.fail(&[call], &to_json(&refusal)),
            // There is nothing left to be shut down.
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
        if let Phase::Running(link) = std::mem::replace(&mut self.0.lock().phase, Phase::ShutDown) {
            // It is up to the process to end now; whoever listens to it wakes as the other half of this pipe closes.
            link.sender.finish();
        }
    }
}

impl Shared {
    /// Listens to the process until it ends.
    fn run_loop(self: Arc<Self>, mut child: Child, wake: &PipeReader) {
        let mut next_tick = Instant::now() + TICK;
        let mut is_asleep = false;
        // Ticks since the process was asked whether anybody is there; `None` where it has said so.
        let mut unanswered = None;
        let death = loop {
            let limit = (!is_asleep).then(|| next_tick.saturating_duration_since(Instant::now()));
            match child.wait(limit, Some(wake), self.host.as_ref()) {
                Wake::Messages | Wake::Nothing => {}
                Wake::End => break child.wait_for_exit(),
            }
            is_asleep = false;
            let heard = self.dispatch_messages(&mut child);
            match heard {
                Ok(true) => unanswered = None,
                Ok(false) => {}
                Err(fault) => break child.end(format!("said what cannot be understood, {fault}, and was ended")),
            }
            let mut calls = self.lock();
            let is_idle = calls.is_idle();
            let Phase::Running(link) = &mut calls.phase else {
                drop(calls);
                return child.part(self.host.as_ref());
            };
            // One may be woken for nothing.
            let _nothing = { wake }.read(&mut [0; 16]);
            if Instant::now() < next_tick {
                continue;
            }
            // One tick however much time has passed: the host itself may have been stopped.
            next_tick = Instant::now() + TICK;
            if is_idle {
                (is_asleep, link.is_asleep, unanswered) = (true, true, None);
                continue;
            }
            if unanswered.is_none() {
                link.sender.send(&Message::Ping);
            }
            let ticks = unanswered.map_or(0, |ticks: u32| ticks + 1);
            unanswered = Some(ticks);
            drop(calls);
            if child.has_died() {
                break child.wait_for_exit();
            }
            if ticks >= PATIENCE {
                break child.end(format!("did not react for {PATIENCE} s, and was ended"));
            }
        };
        (self.died)(&death);
        let error = crashed(&death);
        let unanswered = self.lock().ended(error.clone());
        self.fail_all(&unanswered, error);
    }

    /// Passes on what has come; true where the process has said that somebody is there.
    fn dispatch_messages(&self, child: &mut Child) -> Result<bool, String> {
        let mut is_there = false;
        while let Some(message) = child.next().map_err(|malformed| malformed.0)? {
            match message {
                Message::Reply { call, status, lent } => {
                    let answered = self.lock().replied(call, status);
                    answered.iter().for_each(|call| self.host.reply(*call, status, lent));
                }
                Message::Chunk { call, lent } => self.host.chunk(call, lent),
                Message::Event { call, level, json } => {
                    self.host.event(if is_of_host(call) { call } else { 0 }, level, json);
                }
                Message::Pong => is_there = true,
                _ => return Err("for it is not a plugin's to say".to_owned()),
            }
        }
        Ok(is_there)
    }

    /// Whether the process may be started once more; else why not.
    fn may_start(&self, why: &Error) -> Result<(), Error> {
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        while starts.front().is_some_and(|start| start.elapsed() >= WITHIN) {
            starts.pop_front();
        }
        match starts.front() {
            Some(first) if starts.len() >= STARTS => {
                let wait = WITHIN.saturating_sub(first.elapsed());
                let message = format!(
                    "the plugin's process was started {STARTS} times within {} s, and is not started again for another {} s: {why}",
                    WITHIN.as_secs(),
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

    /// Starts the process anew, on a thread that then listens to it.
    fn start_anew(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let work = move || {
            let unchanged = shared.identity.check(&shared.recipe.library);
            let unchanged = unchanged.map_err(|_changed| "its file has changed since it was loaded".to_owned());
            let started = unchanged.and_then(|()| {
                Child::start(&shared.recipe, shared.host.as_ref()).map_err(|refusal| refusal.to_string())
            });
            let linked = started.and_then(|(child, slots)| {
                let (link, wake) = link(&child).map_err(|error| error.to_string())?;
                Ok((child, slots, link, wake))
            });
            match linked {
                Err(refusal) => shared.not_started(&refusal),
                Ok((child, slots, link, wake)) => {
                    shared.slots.store(slots, Ordering::Relaxed);
                    let mut calls = shared.lock();
                    if !matches!(calls.phase, Phase::ShutDown) {
                        calls.started(link);
                    }
                    drop(calls);
                    shared.run_loop(child, &wake);
                }
            }
        };
        if let Err(error) = spawn(work) {
            self.not_started(&format!("no thread to start it on: {error}"));
        }
    }

    fn not_started(&self, refusal: &str) {
        let message = format!("the plugin's process could not be started: {refusal}");
        let error = Error::new(ErrorCode::PLUGIN_CRASHED, message);
        let unanswered = self.lock().ended(error.clone());
        self.fail_all(&unanswered, error);
    }

    /// Fails the calls of a process that has ended. Those that had not begun can be made again.
    fn fail_all(&self, unanswered: &Unanswered, error: Error) {
        self.fail(&unanswered.begun, &to_json(&error));
        self.fail(&unanswered.waiting, &to_json(&error.retryable()));
    }

    fn fail(&self, calls: &[u64], error: &[u8]) {
        let lent = BorrowedReply { head: Some(&[]), body: Some(error) };
        calls.iter().for_each(|call| self.host.reply(*call, STATUS_ERROR, lent));
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("program", &self.recipe.program).finish_non_exhaustive()
    }
}

/// The way to a process, and what wakes whoever listens to it.
fn link(child: &Child) -> io::Result<(Connection, PipeReader)> {
    let (woken, wake) = io::pipe()?;
    rustix::io::ioctl_fionbio(&woken, true)?;
    Ok((Connection { sender: child.sender()?, wake, is_asleep: false }, woken))
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("mlflow-deploy-child".to_owned()).spawn(work).map(drop)
}

/// What a call gets whose process has died.
fn crashed(death: &ProcessExit) -> Error {
    let error = Error::new(ErrorCode::PLUGIN_CRASHED, format!("the plugin's process {death}"));
    death.log().iter().fold(error, |error, line| error.with_cause(&io::Error::other(format!("its log: {line}"))))
}
