//! The call that is being answered: its deadline, and the way to say something to whoever made it.
//!
//! An operation finds its call here without being handed it: the adapter sets it while it polls the operation.
//! Outside of a call everything is said to nobody, and there is no deadline.

use std::cell::RefCell;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{Error, Redactor};

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// Something failed and no reply will say so.
    Error = 1,
    /// The caller should know, though the call goes on.
    Warn = 2,
    /// What is going on, progress among it.
    Info = 3,
    /// For whoever looks into a fault.
    Debug = 4,
}

/// What a plugin says beside its replies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// What there is to say, for a person.
    pub message: String,
    /// How far a long call has come, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
}

impl Event {
    /// Something to say, for a person.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), progress: None }
    }
}

/// Where a call's events go.
type Listener = Arc<dyn Fn(Level, &Event) + Send + Sync>;

/// What the adapter knows of a call while it answers it.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) deadline: Option<Instant>,
    pub(crate) listener: Listener,
    pub(crate) cancellation: Arc<Cancellation>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) host: crate::ffi::Host,
}

/// What nothing that the call says may repeat.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<Vec<Redactor>>);

impl Secrets {
    fn add(&self, redactor: &Redactor) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(redactor) {
            all.push(redactor.clone());
        }
    }

    fn all(&self) -> Vec<Redactor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the text without the secrets.
    pub(crate) fn hide(&self, text: String) -> String {
        self.all().iter().fold(text, |text, redactor| redactor.hide(&text))
    }

    /// Returns the error without the secrets.
    pub(crate) fn redact(&self, error: Error) -> Error {
        self.all().iter().fold(error, Error::redacted)
    }
}

/// How an operation that has something to wind up hears that its caller has given up.
#[derive(Default)]
pub(crate) struct Cancellation {
    is_awaited: AtomicBool,
    has_come: AtomicBool,
    come: Notify,
}

impl Cancellation {
    /// Tells the operation; gives whether it wants to wind up by itself.
    pub(crate) fn tell(&self) -> bool {
        self.has_come.store(true, Ordering::SeqCst);
        self.come.notify_waiters();
        self.is_awaited.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
        // Listens before it looks, so that nothing is missed in between.
        let come = self.come.notified();
        if !self.has_come.load(Ordering::SeqCst) {
            come.await;
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

impl Context {
    /// Runs `work` as part of the call.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Puts the outer call back, also when `work` panics.
        struct Restore(Option<Context>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some(self.clone())));
        work()
    }

    /// The call that this thread works on.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }
}

/// When the caller stops waiting; `None` where it waits for as long as it takes.
pub fn deadline() -> Option<Instant> {
    Context::current()?.deadline
}

/// What is left of the caller's patience; zero when the deadline has passed.
pub fn remaining() -> Option<Duration> {
    deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Waits until the caller gives up, in an operation that has something to wind up then, such as a server with requests
/// that it is still answering. It never returns outside of a call.
///
/// An operation is dropped when its caller gives up. One that awaits this is not, from the first time on: it has to end by
/// itself, and soon, for somebody may wait for that. What it answers then is the call's reply.
pub async fn cancelled() {
    match Context::current() {
        Some(context) => context.cancellation.wait().await,
        None => pending().await,
    }
}

/// Keeps these secrets out of everything that the call says from now on: its events, and the error that it ends with.
/// What it answers where it succeeds is not touched.
pub fn hide(redactor: &Redactor) {
    if let Some(context) = Context::current() {
        context.secrets.add(redactor);
    }
}

/// Says something to whoever made the call.
pub fn log(level: Level, message: impl Into<String>) {
    tell(level, Event::new(message));
}

/// Warns whoever made the call.
pub fn warn(message: impl Into<String>) {
    log(Level::Warn, message);
}

/// Says what a long call is doing and how far it has come: `done` runs from 0 to 1.
pub fn progress(done: f64, message: impl Into<String>) {
    tell(Level::Info, Event { message: message.into(), progress: Some(done) });
}

/// Another instance of this plugin, in a process of its own that the host starts, watches, and ends; `None` outside of a
/// call, and where the host has no way to.
///
/// It is for work that may end the process that does it, such as native code that is given what strangers send. The
/// process is started by the first call. A call whose process ends fails with `PLUGIN_CRASHED`; one that is retryable was
/// not begun, because the process could not be started, or not so soon again. The next call starts the process anew, and
/// opens the client there with the options that it was made with. What the instance says is said to whoever made this
/// call. The process ends when the last handle is dropped.
#[cfg(feature = "host")]
pub fn isolated_self() -> Option<crate::ffi::RemotePlugin> {
    let Context { host, listener, .. } = Context::current()?;
    crate::ffi::isolated_self(&host, move |_call, level, event| listener(level, &event))
}

fn tell(level: Level, event: Event) {
    if let Some(context) = Context::current() {
        let event = Event { message: context.secrets.hide(event.message), ..event };
        (context.listener)(level, &event);
    }
}
