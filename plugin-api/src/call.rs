//! Gives an operation access to its call: the deadline, the cancellation, and events for the caller.
//!
//! Each thread has a current call, which this crate sets while it polls the operation. Outside of a call, such as on a
//! thread that the plugin started, the deadline is `None`, and an event goes to the host without a call. A program that is
//! not a loaded plugin, such as a test, discards it.
//!
//! ```
//! use mlflow_deploy_plugin_api::call;
//!
//! call::warn("the option `host` has no effect"); // Discarded: this program is not a plugin.
//! assert!(call::deadline().is_none());
//! ```

use std::cell::RefCell;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use crate::chunks::ChunkReceiver;
pub use crate::event::{Event, Level};
use crate::ffi::Host;
use crate::{Deadline, Error, Payload, Redactor, sync};

/// The state of a running call, in one allocation.
pub(crate) struct Context {
    id: u64,
    host: Host,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) cancellation: Cancellation,
    pub(crate) secrets: CallSecrets,
    pub(crate) stop: CancelHandle,
    pub(crate) credit: Semaphore,
}

/// The secrets that are redacted in the events of the call and in its error.
#[derive(Default)]
pub(crate) struct CallSecrets(Mutex<Vec<Redactor>>);

impl CallSecrets {
    fn add(&self, redactor: &Redactor) {
        let mut all = sync::lock(&self.0);
        if !all.contains(redactor) {
            all.push(redactor.clone());
        }
    }

    fn all(&self) -> Vec<Redactor> {
        sync::lock(&self.0).clone()
    }

    /// Returns the text with the secrets redacted.
    pub(crate) fn hide(&self, text: String) -> String {
        self.all().iter().fold(text, |text, redactor| redactor.hide(&text))
    }

    /// Returns the error with the secrets redacted.
    pub(crate) fn redact(&self, error: Error) -> Error {
        self.all().iter().fold(error, Error::redacted)
    }
}

/// Tells an operation that its call was cancelled. Records if the operation waits for this information.
#[derive(Default)]
pub(crate) struct Cancellation {
    is_awaited: AtomicBool,
    has_come: AtomicBool,
    come: Notify,
}

impl Cancellation {
    /// Cancels the operation. Returns true if the operation waits for its cancellation, and therefore ends by itself.
    pub(crate) fn cancel(&self) -> bool {
        self.has_come.store(true, Ordering::SeqCst);
        self.come.notify_waiters();
        self.is_awaited.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
        // Registered before the flag is read, so that a cancellation between the two steps is not missed.
        let come = self.come.notified();
        if !self.has_come.load(Ordering::SeqCst) {
            come.await;
        }
    }
}

/// A handle that stops a task from outside, before it starts or while it runs.
#[derive(Default)]
pub(crate) struct CancelHandle {
    error: OnceLock<Error>,
    waker: Mutex<Option<Waker>>,
}

impl CancelHandle {
    /// Ends the task with this error. Does nothing if the task has already ended or was stopped before.
    pub(crate) fn stop(&self, error: Error) {
        if self.error.set(error).is_ok() {
            let waker = sync::lock(&self.waker).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Returns the error with which the task was stopped; `None` if it was not stopped.
    pub(crate) fn error(&self) -> Option<&Error> {
        self.error.get()
    }

    /// Stores the waker, then returns the error that the task was stopped with, if any. Because of this order, a stop
    /// between the two steps wakes the task.
    pub(crate) fn poll(&self, waker: &Waker) -> Option<&Error> {
        let mut stored = sync::lock(&self.waker);
        if !stored.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
            *stored = Some(waker.clone());
        }
        drop(stored);
        self.error()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Context>>> = const { RefCell::new(None) };
}

impl Context {
    /// Returns the state of a call that begins. The host accepts `credit` chunks.
    pub(crate) fn new(id: u64, host: Host, deadline: Option<Deadline>, credit: u32) -> Self {
        Self {
            id,
            host,
            deadline,
            cancellation: Cancellation::default(),
            secrets: CallSecrets::default(),
            stop: CancelHandle::default(),
            credit: Semaphore::new(credit as usize),
        }
    }

    fn send_event(&self, level: Level, event: &Event) {
        self.host.event(self.id, level, event);
    }

    /// Runs `work` with this call as the current one.
    pub(crate) fn enter<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        /// Makes the previous call the current one again, even if `work` panics.
        struct Restore(Option<Arc<Context>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some(Arc::clone(self))));
        work()
    }

    /// Returns the call that this thread works on, or `None` outside of a call.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }
}

impl ChunkReceiver for Context {
    fn credit(&self) -> &Semaphore {
        &self.credit
    }

    fn receive(&self, chunk: Payload) {
        self.host.chunk(self.id, &chunk);
    }
}

/// Returns the deadline of the current call. Returns `None` if the call has no deadline, or outside of a call.
///
/// An operation passes the deadline on to the requests and processes that it waits for. An operation that has its own
/// limit uses the earlier of the two:
///
/// ```
/// use std::time::Duration;
/// use mlflow_deploy_plugin_api::{Deadline, call};
///
/// let own = Deadline::after(Duration::from_secs(5));
/// let earlier = call::deadline().into_iter().fold(own, Deadline::min);
/// assert_eq!(earlier, own);
/// ```
pub fn deadline() -> Option<Deadline> {
    CURRENT.with_borrow(|context| context.as_ref()?.deadline)
}

/// Returns the time until the [`deadline`] of the current call. Returns zero if the deadline is past, and `None` if
/// there is no deadline.
pub fn remaining() -> Option<Duration> {
    deadline().map(Deadline::remaining)
}

/// Waits until the current call is cancelled. Never returns outside of a call.
///
/// A cancelled operation is dropped, unless it has polled this future before. In that case, it continues and can finish
/// its work: a server, for example, answers its current requests. The operation must then end soon, because the caller
/// may wait for it. Its result is the reply to the call.
pub async fn cancelled() {
    match Context::current() {
        Some(context) => context.cancellation.wait().await,
        None => pending().await,
    }
}

/// Redacts the secrets of `redactor` in the later events of the current call and in its error. Does not change its
/// result.
pub fn hide(redactor: &Redactor) {
    CURRENT.with_borrow(|context| {
        if let Some(context) = context {
            context.secrets.add(redactor);
        }
    });
}

/// Sends an event to the caller of the current operation, or to the host if there is none.
///
/// With the cargo feature `log` or `tracing`, the records of these crates are sent in the same way.
pub fn log(level: Level, message: impl Into<String>) {
    tell(level, Event::new(message));
}

/// Sends a warning to the caller of the current operation.
pub fn warn(message: impl Into<String>) {
    log(Level::Warn, message);
}

/// Reports the progress of the current call to its caller. `done` is the completed part of the call, from 0 to 1.
pub fn progress(done: f64, message: impl Into<String>) {
    tell(Level::Info, Event { message: message.into(), progress: Some(done) });
}

/// Returns another instance of this plugin, which runs in its own process and which the host manages. Returns `None`
/// outside of a call, or if the host does not support this.
///
/// Such an instance is meant for work that may crash the process, such as native code that handles untrusted inputs.
/// The first call starts the process. If the process ends during a call, the call fails with `PLUGIN_CRASHED`. If that
/// error is retryable, the call did not start, because the process could not be started or was started too often. The
/// next call restarts the process, and reopens the client with its options. The instance's events go to the caller of
/// the current call. The process ends when the last handle is dropped.
#[cfg(feature = "host")]
pub fn isolated_self() -> Option<crate::ffi::RemotePlugin> {
    let context = Context::current()?;
    let host = context.host;
    crate::ffi::isolated_self(&host, move |_call, level, event| context.send_event(level, &event))
}

fn tell(level: Level, event: Event) {
    match Context::current() {
        Some(context) => {
            let event = Event { message: context.secrets.hide(event.message), ..event };
            context.send_event(level, &event);
        }
        None => crate::ffi::outside_call::tell(level, &event),
    }
}
