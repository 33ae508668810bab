//! Loads plugins into this process or each into a process of its own. Each load runs on a separate thread and has a
//! time limit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_plugin_api::Deadline;
use mlflow_deploy_plugin_api::call::{Event, Level};
use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, RemotePlugin};
use tokio::sync::oneshot;

use crate::LoadError;
use crate::client::timeout::{start_timer, until};
use crate::load::library;
use crate::load::subprocess::{Child, InProcessHost, InstanceSpawner, SpawnConfig, Supervisor};

/// The time limit for reading a library, and the one for loading it into this process and starting its plugin.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The time beyond the time limit of a new process, after which the host no longer waits for the thread that enforces
/// the limit.
const MARGIN: Duration = Duration::from_secs(10);

/// Loads a library into this process. If loading hangs, its thread stays blocked, and the host continues without it.
///
/// `spawner` starts further instances of the plugin when the plugin requests them.
pub(crate) async fn into_this_process(
    path: PathBuf,
    spawner: Option<InstanceSpawner>,
    listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
) -> Result<RemotePlugin, LoadError> {
    let start = move || {
        RemotePlugin::through(listener, |host| library::start(&path, Arc::new(InProcessHost { host, spawner })))
    };
    on_a_thread(TIMEOUT, start).await
}

/// Starts a plugin in a process of its own. Kills the process if the start takes too long.
pub(crate) async fn into_own_process(
    config: SpawnConfig,
    listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
) -> Result<RemotePlugin, LoadError> {
    let limit = config.start_timeout + MARGIN;
    let start = move || RemotePlugin::through(listener, |host| Supervisor::start(config, host, Box::new(|_| {})));
    on_a_thread(limit, start).await
}

/// Starts a plugin in a process of its own, and then kills the process. Fails if the plugin cannot be loaded.
pub(crate) async fn preflight(config: SpawnConfig) -> Result<(), LoadError> {
    on_a_thread(config.start_timeout + MARGIN, move || Child::start(&config, &NullHost).map(drop)).await
}

/// Runs `work`, which reads a library, within a time limit.
pub(crate) async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    on_a_thread(TIMEOUT, work).await.map_err(|error| match error {
        LoadError::TimedOut(limit) => {
            let limit = limit.as_secs();
            LoadError::Unreadable(format!(
                "reading it took longer than {limit} s; it is too large, or its file system is too slow"
            ))
        }
        other => other,
    })
}

/// Runs blocking work on a new thread. If the work exceeds the limit, it continues on its thread, and its result is
/// dropped.
async fn on_a_thread<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    start_timer().await.map_err(|error| LoadError::Init(format!("cannot create a timer thread: {error}")))?;
    let (sender, done) = oneshot::channel();
    let work = move || {
        // Fails if the limit has passed and the receiver was dropped.
        let _ = sender.send(work());
    };
    library::thread()
        .spawn(work)
        .map_err(|error| LoadError::Init(format!("cannot create a thread to load it: {error}")))?;
    let panicked = || Err(LoadError::Init("it panicked during loading".to_owned()));
    match until(Deadline::after(limit), done).await {
        Some(done) => done.unwrap_or_else(|_dropped| panicked()),
        None => Err(LoadError::TimedOut(limit)),
    }
}

/// Ignores the callbacks of a plugin during its preflight. The plugin sends its events again when the host loads it.
struct NullHost;

impl HostCallbacks for NullHost {
    fn reply(&self, _: u64, _: u32, _: BorrowedReply<'_>) {}

    fn chunk(&self, _: u64, _: BorrowedReply<'_>) {}

    fn event(&self, _: u64, _: u32, _: Option<&[u8]>) {}
}
