//! What drives a plugin's futures: a small tokio runtime of its own, or a thread per call without the feature.

#[cfg(feature = "runtime")]
pub(super) use pooled::{Runtime, within};
#[cfg(not(feature = "runtime"))]
pub(super) use threaded::{Runtime, within};

use crate::Result;

/// Runs work that keeps a processor busy, or blocks, without holding up the plugin's other calls.
///
/// To be awaited inside an operation. A panic in `work` is the operation's panic.
///
/// # Errors
/// What `work` returns.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    #[cfg(feature = "runtime")]
    return pooled::blocking(work).await;
    #[cfg(not(feature = "runtime"))]
    return work();
}

#[cfg(feature = "runtime")]
mod pooled {
    use std::io;
    use std::panic::resume_unwind;
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use tokio::runtime::Builder;

    use crate::call::Context;
    use crate::ffi::contain::contain;
    use crate::{Error, ErrorCode, Result};

    /// One worker thread, started by the first call: its work is to wait for servers. `blocking` has threads of its own.
    #[derive(Default)]
    pub(in crate::ffi) struct Runtime(Mutex<State>);

    #[derive(Default)]
    enum State {
        #[default]
        Unused,
        Running(tokio::runtime::Runtime),
        ShutDown,
    }

    impl Runtime {
        /// Starts the threads, where that has not been done yet.
        pub(in crate::ffi) fn prepare(&self) -> io::Result<()> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(*state, State::Unused) {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(1).thread_name("mlflow-plugin").enable_all();
                // tokio panics where the system has no thread to give.
                *state = State::Running(contain(|| builder.build()).map_err(io::Error::other)??);
            }
            Ok(())
        }

        /// Starts a task; one that cannot be started is dropped.
        pub(in crate::ffi) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
            self.prepare()?;
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let handle = match &*state {
                State::Running(runtime) => runtime.handle().clone(),
                State::Unused | State::ShutDown => return Ok(()),
            };
            drop(state);
            handle.spawn(task);
            Ok(())
        }

        /// Lets go of the threads without waiting for them.
        pub(in crate::ffi) fn shut_down(&self) {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let running = std::mem::replace(&mut *state, State::ShutDown);
            drop(state);
            if let State::Running(runtime) = running {
                runtime.shutdown_background();
            }
        }
    }

    /// Ends work that its caller does not wait for any more. It gets a little longer than that: an operation that keeps
    /// its deadline itself says more about what it waited for.
    pub(in crate::ffi) async fn within<T>(
        timeout: Option<Duration>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        const GRACE: Duration = Duration::from_millis(100);
        let Some(timeout) = timeout else { return work.await };
        tokio::time::timeout(timeout.saturating_add(GRACE), work).await.unwrap_or_else(|_elapsed| {
            let message = format!("the caller's time is up: there was no answer within {} s", timeout.as_secs_f64());
            Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message))
        })
    }

    pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let context = Context::current();
        let work = move || match context {
            Some(context) => context.enter(work),
            None => work(),
        };
        match tokio::task::spawn_blocking(|| contain(work)).await {
            Ok(Ok(result)) => result,
            // On to the operation's own containment, in the message's words.
            Ok(Err(message)) => resume_unwind(Box::new(message)),
            Err(_shut_down) => Err(Error::new(ErrorCode::CANCELLED, "the plugin was shut down")),
        }
    }
}

#[cfg(not(feature = "runtime"))]
mod threaded {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};
    use std::time::Duration;

    use crate::Result;

    /// A thread for each call.
    #[derive(Default)]
    pub(in crate::ffi) struct Runtime {}

    impl Runtime {
        /// Threads start with their calls.
        pub(in crate::ffi) fn prepare(&self) -> std::io::Result<()> {
            Ok(())
        }

        /// Starts a task; one that cannot be started is dropped.
        pub(in crate::ffi) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
            thread::Builder::new().name("mlflow-plugin".to_owned()).spawn(|| run(task)).map(drop)
        }

        /// Threads end with their calls.
        pub(in crate::ffi) fn shut_down(&self) {}
    }

    /// Threads have no clock: it is up to the work to end in time, and to the host to cancel it.
    pub(in crate::ffi) async fn within<T>(
        _timeout: Option<Duration>,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        work.await
    }

    fn run(task: impl Future<Output = ()>) {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut task = pin!(task);
        while task.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            thread::park();
        }
    }
}
