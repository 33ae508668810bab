//! Keeps a model's server alive: starts it, sees it end, and starts it again, less and less often where that is no use.
//!
//! A server that has answered requests and then ends is started again at once. One that ends before that is
//! given a pause that grows, and after the pause it is started when somebody asks. So a model that cannot be loaded costs
//! nothing but the attempts of those who insist.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, sleep_until};

use super::child::{Child, Ended};
use super::client::ScoringClient;
use super::slow_wait::warn_if_slow;

/// The first pause; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// After this time the caller is told what is waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How to start a server.
pub(super) struct SpawnConfig {
    /// The interpreter.
    pub(super) python: PathBuf,
    /// The model's folder.
    pub(super) model: PathBuf,
    /// How long it may take until it answers.
    pub(super) start_timeout: Duration,
    /// What to say where a module is missing.
    pub(super) advice: String,
}

/// A server that answers.
pub(super) struct Serving {
    pub(super) child: Child,
    /// Whether it has answered a request.
    pub(super) has_answered: AtomicBool,
    /// How long its start took.
    pub(super) start: Duration,
}

#[derive(Clone)]
enum State {
    Starting,
    Serving(Arc<Serving>),
    /// There is none, and why; there will be none before this time.
    Down(Error, Instant),
}

/// A server that is kept alive, until this is dropped.
pub(super) struct Supervisor {
    state: watch::Receiver<State>,
    wanted: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Begins to start a server. To be called on the plugin's runtime.
    pub(super) fn start(recipe: SpawnConfig, asker: Arc<ScoringClient>) -> Self {
        let (sender, state) = watch::channel(State::Starting);
        let wanted = Arc::<Notify>::default();
        let task = tokio::spawn(keep_alive(Arc::new(recipe), asker, sender, Arc::clone(&wanted)));
        Self { state, wanted, task }
    }

    /// The server, once it answers.
    ///
    /// # Errors
    /// Why there is none, where it could not be started.
    pub(super) async fn serving(&self) -> Result<Arc<Serving>> {
        let mut state = self.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Serving(serving) if !serving.child.has_ended() => return Ok(serving),
                State::Down(error, until) => {
                    let wait = until.saturating_duration_since(Instant::now());
                    if !wait.is_zero() {
                        return Err(error.with_retry_after(wait));
                    }
                    self.wanted.notify_one();
                }
                State::Serving(_) | State::Starting => {}
            }
            let waiting = || "waiting for the model's Python server, which is still starting".to_owned();
            if warn_if_slow(state.changed(), SILENCE, waiting).await.is_err() {
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

async fn keep_alive(
    recipe: Arc<SpawnConfig>,
    asker: Arc<ScoringClient>,
    state: watch::Sender<State>,
    wanted: Arc<Notify>,
) {
    let mut failures = 0;
    loop {
        state.send_replace(State::Starting);
        let error = match start(&recipe, &asker).await {
            Ok(serving) => {
                state.send_replace(State::Serving(Arc::clone(&serving)));
                let ended = serving.child.ended().await;
                if serving.has_answered.load(Ordering::Relaxed) {
                    failures = 0;
                    continue;
                }
                fault(&format!("{ended} before it had answered anything"), &serving.child, &recipe)
            }
            Err(error) => error,
        };
        let pause = pause(failures);
        failures += 1;
        state.send_replace(State::Down(error, Instant::now() + pause));
        sleep(pause).await;
        wanted.notified().await;
    }
}

/// The pause after so many failures in a row before this one.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(MAX_PAUSE)
}

/// Starts a server, and waits until it answers.
async fn start(recipe: &Arc<SpawnConfig>, asker: &ScoringClient) -> Result<Arc<Serving>> {
    let begin = Instant::now();
    let same = Arc::clone(recipe);
    let child = spawn_blocking(move || Child::start(&same.python, &same.model)).await;
    let child =
        child.map_err(|error| Error::internal(format!("failed to start Python: {error}")))?.map_err(|error| {
            Error::new(
                ErrorCode::new("INVALID_STATE"),
                format!("failed to start `{}`: {error}", recipe.python.display()),
            )
        })?;
    let until = begin + recipe.start_timeout;
    tokio::select! {
        () = asker.until_healthy(child.address()) => {
            let start = begin.elapsed();
            Ok(Arc::new(Serving { child, has_answered: AtomicBool::new(false), start }))
        }
        ended = child.ended() => Err(fault(&format!("{ended} instead of starting"), &child, recipe)),
        () = sleep_until(until.into()) => {
            let seconds = recipe.start_timeout.as_secs();
            let late = format!("did not answer within {seconds} s, which the config key `start_timeout` can change");
            Err(fault(&late, &child, recipe))
        }
    }
}

/// What happened to a server that has answered nothing: the model's fault, or its surroundings'.
fn fault(what: &str, child: &Child, recipe: &SpawnConfig) -> Error {
    let tail = child.tail();
    let last = tail.lines().last().map_or_else(|| "it wrote nothing".to_owned(), str::to_owned);
    let advice = if tail.contains("ModuleNotFoundError") { recipe.advice.as_str() } else { "" };
    let message = format!("the model's Python server {what}: {last}{advice}");
    with_log(Error::new(ErrorCode::new("INVALID_STATE"), message), tail)
}

/// What a caller is told whose server ended before it had answered.
pub(super) fn lost(serving: &Serving, ended: Ended) -> Error {
    let message =
        format!("the model's Python server {ended} before it had answered: it is started anew, and may be asked again");
    with_log(Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).retryable(), serving.child.tail())
}

/// Adds the log's last lines.
fn with_log(error: Error, tail: String) -> Error {
    if tail.is_empty() {
        return error;
    }
    error.with_cause(&std::io::Error::other(format!("its log ends with:\n{tail}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute() {
        let pauses: Vec<u128> = (0..8).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(pause(u32::MAX), MAX_PAUSE);
    }
}
