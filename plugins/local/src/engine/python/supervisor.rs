//! Starts and restarts the Python scoring server of a model.
//!
//! A server that has answered a prediction is restarted as soon as it ends. A server that ends before its first answer
//! is restarted only after a pause, and only when the next request arrives. The pause grows with each failure. As a
//! result, a model that cannot be loaded uses no resources between requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, sleep_until};

use super::client::ScoringClient;
use super::process::{ServerExit, ServerProcess};
use super::slow_wait::warn_if_slow;

/// The pause after the first failed start. The pause doubles after each further failure, up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(500);

/// The time after which the caller receives a warning that the server starts slowly.
const WARN_AFTER: Duration = Duration::from_secs(10);

/// The maximum pause between a failed start and the next start.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The parameters for the start of a Python scoring server.
pub(super) struct StartConfig {
    /// The path of the Python interpreter.
    pub(super) python: PathBuf,
    /// The path of the model's folder.
    pub(super) model: PathBuf,
    /// The maximum time from the start of the process until the server answers `/ping`.
    pub(super) start_timeout: Duration,
    /// The advice for the user that is added to the error if a Python module is missing.
    pub(super) advice: String,
}

/// A Python scoring server that has started and loaded its model.
pub(super) struct RunningServer {
    pub(super) process: ServerProcess,
    /// True if the server has answered a prediction.
    pub(super) has_answered: AtomicBool,
    /// The time from the start of the process until the server answered `/ping`.
    pub(super) start_time: Duration,
}

#[derive(Clone)]
enum ProcessState {
    /// The server failed. Contains the error, and the earliest time at which the server may be started again.
    Failed(Error, Instant),
    Running(Arc<RunningServer>),
    Starting,
}

/// Keeps a Python scoring server running until this value is dropped.
pub(super) struct Supervisor {
    state: watch::Receiver<ProcessState>,
    requested: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts a Python scoring server in the background, and restarts it when it ends. Must be called on the plugin's
    /// runtime.
    pub(super) fn start(config: StartConfig, client: Arc<ScoringClient>) -> Self {
        let (sender, state) = watch::channel(ProcessState::Starting);
        let requested = Arc::<Notify>::default();
        let task = tokio::spawn(keep_running(Arc::new(config), client, sender, Arc::clone(&requested)));
        Self { state, requested, task }
    }

    /// Returns true if the server has started and its process has not ended.
    pub(super) fn is_running(&self) -> bool {
        matches!(&*self.state.borrow(), ProcessState::Running(server) if !server.process.has_ended())
    }

    /// Waits until the server has started, and returns it.
    ///
    /// # Errors
    /// Fails with the reason if the server cannot be started.
    pub(super) async fn running(&self) -> Result<Arc<RunningServer>> {
        let mut state = self.state.clone();
        loop {
            let current = state.borrow_and_update().clone();
            match current {
                ProcessState::Running(server) if !server.process.has_ended() => return Ok(server),
                ProcessState::Failed(error, next_start) => {
                    let wait = next_start.saturating_duration_since(Instant::now());
                    if !wait.is_zero() {
                        return Err(error.with_retry_after(wait));
                    }
                    self.requested.notify_one();
                }
                ProcessState::Running(_) | ProcessState::Starting => {}
            }
            let warning = || "still waiting for the start of the model's Python server".to_owned();
            if warn_if_slow(state.changed(), WARN_AFTER, warning).await.is_err() {
                return Err(Error::new(ErrorCode::CANCELLED, "the model's Python server was shut down"));
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_running(
    config: Arc<StartConfig>,
    client: Arc<ScoringClient>,
    state: watch::Sender<ProcessState>,
    requested: Arc<Notify>,
) {
    let mut failures = 0;
    loop {
        state.send_replace(ProcessState::Starting);
        let error = match start(&config, &client).await {
            Ok(server) => {
                state.send_replace(ProcessState::Running(Arc::clone(&server)));
                let exit = server.process.wait().await;
                if server.has_answered.load(Ordering::Relaxed) {
                    failures = 0;
                    continue;
                }
                start_error(&format!("{exit} before its first answer"), &server.process, &config)
            }
            Err(error) => error,
        };
        let pause = pause(failures);
        failures += 1;
        state.send_replace(ProcessState::Failed(error, Instant::now() + pause));
        sleep(pause).await;
        requested.notified().await;
    }
}

/// Returns the pause between a failed start and the next start. `failures` is the number of earlier failures.
fn pause(failures: u32) -> Duration {
    MIN_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(MAX_PAUSE)
}

/// Starts a Python scoring server, and waits until it answers `/ping`.
async fn start(config: &Arc<StartConfig>, client: &ScoringClient) -> Result<Arc<RunningServer>> {
    let begin = Instant::now();
    let start_config = Arc::clone(config);
    let process = spawn_blocking(move || ServerProcess::start(&start_config.python, &start_config.model)).await;
    let process =
        process.map_err(|error| Error::internal(format!("failed to start Python: {error}")))?.map_err(|error| {
            Error::new(
                ErrorCode::new("INVALID_STATE"),
                format!("failed to start `{}`: {error}", config.python.display()),
            )
        })?;
    let limit = begin + config.start_timeout;
    tokio::select! {
        () = client.wait_until_healthy(process.address()) => {
            let start_time = begin.elapsed();
            Ok(Arc::new(RunningServer { process, has_answered: AtomicBool::new(false), start_time }))
        }
        exit = process.wait() => Err(start_error(&format!("{exit} during its start"), &process, config)),
        () = sleep_until(limit.into()) => {
            let seconds = config.start_timeout.as_secs();
            let timeout = format!("did not start within {seconds} s (the config key `start_timeout`)");
            Err(start_error(&timeout, &process, config))
        }
    }
}

/// Returns the error for a server that failed before it answered its first prediction. `failure` describes the failure.
fn start_error(failure: &str, process: &ServerProcess, config: &StartConfig) -> Error {
    let log = process.log();
    let last = log.lines().last().map_or_else(|| "no output".to_owned(), str::to_owned);
    let advice = if log.contains("ModuleNotFoundError") { config.advice.as_str() } else { "" };
    let message = format!("the model's Python server {failure}: {last}{advice}");
    with_log(Error::new(ErrorCode::new("INVALID_STATE"), message), log)
}

/// Returns the error for a request that failed because the server process ended.
pub(super) fn connection_lost(server: &RunningServer, exit: ServerExit) -> Error {
    let message =
        format!("the model's Python server {exit} during the request: the server is restarted, so retry the request");
    with_log(Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).retryable(), server.process.log())
}

/// Adds the last lines of the server's output to an error, as its cause.
fn with_log(error: Error, log: String) -> Error {
    if log.is_empty() {
        return error;
    }
    error.with_cause(&std::io::Error::other(format!("its log ends with:\n{log}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_30_seconds() {
        let pauses: Vec<u128> = (0..8).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(pause(u32::MAX), MAX_PAUSE);
    }
}
