//! Runs a plugin's futures. They run on a small tokio runtime, or on one thread per call if the feature `runtime` is
//! off.

#[cfg(feature = "runtime")]
pub(super) use pooled::{Runtime, within};
#[cfg(not(feature = "runtime"))]
pub(super) use threaded::{Runtime, within};

use crate::Result;

/// Runs blocking work or a long computation on a separate thread, so that it does not delay the plugin's other calls.
///
/// Operations of a plugin call this function. A panic in `work` becomes a panic of the operation.
///
/// ```
/// use mlflow_deploy_plugin_api::{Result, blocking};
///
/// async fn sum(values: Vec<f64>) -> Result<f64> {
///     blocking(move || Ok(values.iter().sum())).await
/// }
/// ```
///
/// # Errors
/// The error of `work`.
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
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    use tokio::runtime::Builder;

    use crate::call;
    use crate::ffi::catch_unwind::catch_panic;
    use crate::{Deadline, Error, ErrorCode, Result, sync};

    /// A tokio runtime with one worker thread. The first call starts the thread. [`blocking`] uses other threads.
    #[derive(Default)]
    pub(in crate::ffi) struct Runtime(Mutex<RuntimeState>);

    #[derive(Default)]
    enum RuntimeState {
        #[default]
        Unused,
        Running(tokio::runtime::Runtime),
        ShutDown,
    }

    impl Runtime {
        /// Returns a handle that starts tasks. Starts the worker thread if it has never been started.
        pub(in crate::ffi) fn handle(&self) -> io::Result<Handle> {
            let mut state = sync::lock(&self.0);
            if matches!(*state, RuntimeState::Unused) {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(1).thread_name("mlflow-plugin").enable_all();
                // tokio panics if the system cannot start a thread.
                *state = RuntimeState::Running(catch_panic(|| builder.build()).map_err(io::Error::other)??);
            }
            Ok(Handle(match &*state {
                RuntimeState::Running(runtime) => Some(runtime.handle().clone()),
                RuntimeState::Unused | RuntimeState::ShutDown => None,
            }))
        }

        /// Shuts the runtime down, without waiting for its threads to end.
        pub(in crate::ffi) fn shut_down(&self) {
            let mut state = sync::lock(&self.0);
            let running = std::mem::replace(&mut *state, RuntimeState::ShutDown);
            drop(state);
            if let RuntimeState::Running(runtime) = running {
                runtime.shutdown_background();
            }
        }
    }

    /// A handle that starts tasks on the worker thread; `None` if the runtime is shut down.
    pub(in crate::ffi) struct Handle(Option<tokio::runtime::Handle>);

    impl Handle {
        /// Starts a task. Drops the task if the runtime is shut down.
        pub(in crate::ffi) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
            if let Some(handle) = &self.0 {
                handle.spawn(task);
            }
            Ok(())
        }

        /// Polls a task once on the calling thread, and starts it if it has not completed.
        pub(in crate::ffi) fn poll_then_spawn(
            &self,
            mut task: impl Future<Output = ()> + Send + Unpin + 'static,
        ) -> io::Result<()> {
            let Some(handle) = &self.0 else { return Ok(()) };
            let entered = handle.enter();
            // The poll that follows the start registers the task's own waker.
            let is_pending = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())).is_pending();
            drop(entered);
            if is_pending {
                handle.spawn(task);
            }
            Ok(())
        }
    }

    /// Waits for `work` until the deadline and a grace period have passed, then fails with `DEADLINE_EXCEEDED`. See
    /// [`Deadline`].
    pub(in crate::ffi) async fn within<T>(
        deadline: Option<Deadline>,
        work: Pin<&mut (impl Future<Output = Result<T>> + Send)>,
    ) -> Result<T> {
        let Some(deadline) = deadline else { return work.await };
        let end = deadline.extended(Deadline::RUNTIME_GRACE).instant();
        tokio::time::timeout_at(end.into(), work).await.unwrap_or_else(|_elapsed| {
            let message = format!("no answer within {deadline}: increase the timeout, or reduce the request");
            Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message))
        })
    }

    pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let context = call::Context::current();
        let work = move || match context {
            Some(context) => context.enter(work),
            None => work(),
        };
        match tokio::task::spawn_blocking(|| catch_panic(work)).await {
            Ok(Ok(result)) => result,
            // The operation panics with the same message, and its task catches that.
            Ok(Err(message)) => resume_unwind(Box::new(message)),
            Err(_shut_down) => Err(Error::new(ErrorCode::CANCELLED, "the plugin was shut down")),
        }
    }
}

#[cfg(not(feature = "runtime"))]
mod threaded {
    use std::io;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};

    use crate::{Deadline, Result};

    /// A runtime that starts a thread for each call.
    #[derive(Default)]
    pub(in crate::ffi) struct Runtime {}

    impl Runtime {
        /// Returns a handle that starts tasks.
        pub(in crate::ffi) fn handle(&self) -> io::Result<Handle> {
            Ok(Handle {})
        }

        /// Does nothing, because each thread ends with its call.
        pub(in crate::ffi) fn shut_down(&self) {}
    }

    /// A handle that starts tasks.
    pub(in crate::ffi) struct Handle {}

    impl Handle {
        /// Starts a task on a new thread. Drops the task if the thread cannot be started.
        pub(in crate::ffi) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
            thread::Builder::new().name("mlflow-plugin".to_owned()).spawn(|| run(task)).map(drop)
        }

        /// Polls a task once on the calling thread, and starts it if it has not completed.
        pub(in crate::ffi) fn poll_then_spawn(
            &self,
            mut task: impl Future<Output = ()> + Send + Unpin + 'static,
        ) -> io::Result<()> {
            match Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(()) => Ok(()),
                Poll::Pending => self.spawn(task),
            }
        }
    }

    /// Waits for `work`. Does not enforce the deadline, because this runtime has no timer. Either `work` keeps the
    /// deadline itself, or the host cancels the call.
    pub(in crate::ffi) async fn within<T>(
        _deadline: Option<Deadline>,
        work: Pin<&mut (impl Future<Output = Result<T>> + Send)>,
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
