//! Loads plugins, each on a thread of its own and against a deadline: into this process, or into one of theirs.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mlflow_deploy_plugin_api::Deadline;
use mlflow_deploy_plugin_api::call::{Event, Level};
use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, RemotePlugin};
use tokio::sync::oneshot;

use crate::LoadError;
use crate::client::timeout::{start_timer, until};
use crate::load::library;
use crate::load::subprocess::{Child, Isolating, Nested, SpawnConfig, Supervisor};

/// The stack of the threads on which the host loads libraries, and on which the command and isolated processes call them.
///
/// It is never less than what a main thread has (8 MiB), so that a library that can be loaded by one host can be loaded
/// by another. A thread of a program that calls clients, and so enters plugins, is best given as much.
pub const STACK_SIZE: usize = 16 << 20;

/// The time limit for reading a library, and for loading and starting it.
const DEADLINE: Duration = Duration::from_secs(10);

/// The time limit for a library in a process of its own, which has its own deadline and ends the process first.
const ISOLATED_DEADLINE: Duration = Duration::from_secs(20);

/// Loads a library into this process. One that does not come back keeps its thread; the host goes on without it.
///
/// `nested` is how the plugin gets an instance of itself in a process of its own, where it asks for one.
pub(crate) async fn into_this_process(
    path: PathBuf,
    nested: Option<Nested>,
    listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
) -> Result<RemotePlugin, LoadError> {
    let start =
        move || RemotePlugin::through(listener, |host| library::start(&path, Arc::new(Isolating { host, nested })));
    on_a_thread(DEADLINE, start).await
}

/// Loads a library into a process of its own, which ends where it takes too long.
pub(crate) async fn into_its_own(
    recipe: SpawnConfig,
    listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
) -> Result<RemotePlugin, LoadError> {
    let start = move || RemotePlugin::through(listener, |host| Supervisor::start(recipe, host, Box::new(|_| {})));
    on_a_thread(ISOLATED_DEADLINE, start).await
}

/// Loads a library into a process of its own, and ends the process at once.
pub(crate) async fn on_trial(recipe: SpawnConfig) -> Result<(), LoadError> {
    on_a_thread(ISOLATED_DEADLINE, move || Child::start(&recipe, &NullHost).map(drop)).await
}

/// Reads what has to be known of a library before it is loaded.
pub(crate) async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    on_a_thread(DEADLINE, work).await.map_err(|refusal| match refusal {
        LoadError::TimedOut(limit) => {
            let limit = limit.as_secs();
            LoadError::Unreadable(format!(
                "it was not read within {limit} s: it is too large, or its file system too slow"
            ))
        }
        other => other,
    })
}

/// A thread that loads or calls plugins: everywhere of the same kind, so that a trial is like the load after it.
pub(crate) fn thread() -> thread::Builder {
    thread::Builder::new().name("mlflow-deploy-load".to_owned()).stack_size(STACK_SIZE)
}

/// Does work that blocks on a thread of its own. Work that takes longer than the limit keeps its thread.
async fn on_a_thread<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    start_timer().await.map_err(|error| LoadError::Init(format!("no thread to keep time on: {error}")))?;
    let (sender, done) = oneshot::channel();
    let work = move || {
        // The receiver has gone where the deadline has passed: then nobody is left to be told.
        let _ = sender.send(work());
    };
    thread().spawn(work).map_err(|error| LoadError::Init(format!("no thread to load it on: {error}")))?;
    let panicked = || Err(LoadError::Init("it panicked while it was loaded".to_owned()));
    match until(Deadline::after(limit), done).await {
        Some(done) => done.unwrap_or_else(|_dropped| panicked()),
        None => Err(LoadError::TimedOut(limit)),
    }
}

/// The listener of a plugin that is only tried: what it says is said again when it is loaded.
struct NullHost;

impl HostCallbacks for NullHost {
    fn reply(&self, _: u64, _: u32, _: BorrowedReply<'_>) {}

    fn chunk(&self, _: u64, _: BorrowedReply<'_>) {}

    fn event(&self, _: u64, _: u32, _: Option<&[u8]>) {}
}
