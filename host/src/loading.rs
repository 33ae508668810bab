//! Loads plugins, each on a thread of its own and against a deadline: into this process, or into one of theirs.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mlflow_deploy_plugin_api::call::{Event, Level};
use mlflow_deploy_plugin_api::ffi::RemotePlugin;
use tokio::sync::oneshot;

use crate::isolation::{Isolating, Nested, Recipe, Supervisor};
use crate::race::{race, start_timer};
use crate::{Refusal, library};

/// How long a library may take to be loaded and to start.
const DEADLINE: Duration = Duration::from_secs(10);

/// Loads a library into this process. One that does not come back keeps its thread; the host goes on without it.
///
/// `nested` is how the plugin gets an instance of itself in a process of its own, where it asks for one.
pub(crate) async fn into_this_process(
    path: PathBuf,
    nested: Option<Nested>,
    listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
) -> Result<RemotePlugin, Refusal> {
    start_timer().await.map_err(|error| Refusal::Init(format!("no thread to keep time on: {error}")))?;
    let loaded = on_a_thread(move || {
        RemotePlugin::through(listener, |host| library::start(&path, Arc::new(Isolating { host, nested })))
    });
    race(loaded, DEADLINE).await.unwrap_or(Err(Refusal::TimedOut(DEADLINE)))
}

/// Loads a library into a process of its own, which ends where it takes too long.
pub(crate) async fn into_its_own(
    recipe: Recipe,
    listener: impl Fn(u64, Level, Event) + Send + Sync + 'static,
) -> Result<RemotePlugin, Refusal> {
    on_a_thread(move || RemotePlugin::through(listener, |host| Supervisor::start(recipe, host, Box::new(|_| {})))).await
}

/// Does what blocks where nobody is kept waiting.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (sender, done) = oneshot::channel();
    let work = move || {
        // The receiver has gone where the deadline has passed: then nobody is left to be told.
        let _ = sender.send(work());
    };
    thread::Builder::new()
        .name("mlflow-deploy-load".to_owned())
        .spawn(work)
        .map_err(|error| Refusal::Init(format!("no thread to load it on: {error}")))?;
    done.await.unwrap_or_else(|_panicked| Err(Refusal::Init("it panicked while it was loaded".to_owned())))
}
