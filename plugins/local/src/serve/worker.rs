//! Runs a model in separate processes, so that inputs that crash the model do not end the server.
//!
//! When the first process crashes, all requests that it was running are suspect. The server runs each of them again,
//! one at a time, in a second process. Inputs that crash the second process are not run again. All other requests wait
//! until the first process has been restarted.

use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_plugin_api::args::Predict;
use mlflow_deploy_plugin_api::call::isolated_self;
use mlflow_deploy_plugin_api::ffi::{RemoteClient, RemotePlugin};
use mlflow_deploy_plugin_api::{ClientOptions, Error, ErrorCode, Payload, Result, TargetUri};
use tokio::spawn;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use super::crash_history::{CrashHistory, CrashRole};

/// The pause after a failed start of a process, if the error does not specify a pause.
const PAUSE: Duration = Duration::from_millis(500);

/// The two separate processes that run a model: one for ordinary requests, and one for requests that may have caused a
/// crash.
pub(super) struct Worker {
    client: RemoteClient,
    /// The process for requests that may have caused a crash. The lock admits one request at a time.
    second: Mutex<SecondProcess>,
    history: CrashHistory,
}

/// The process for requests that may have caused a crash. It is started for the first such request.
struct SecondProcess {
    plugin: RemotePlugin,
    target: TargetUri,
    options: ClientOptions,
    client: Option<RemoteClient>,
}

/// A channel that closes when the client that sent a request disconnects.
type Disconnect = watch::Receiver<()>;

impl Worker {
    /// Starts a separate process, which loads the model that `options` specify. Returns `None` if the host cannot start
    /// separate processes.
    ///
    /// # Errors
    /// Fails if the model cannot be loaded. Fails with `PLUGIN_CRASHED` if the process crashes when it loads the model
    /// or predicts the input example.
    pub(super) async fn start(target: TargetUri, options: ClientOptions) -> Result<Option<Arc<Self>>> {
        let (Some(plugin), Some(second_plugin)) = (isolated_self(), isolated_self()) else { return Ok(None) };
        let client = plugin.open(&target, &options, None).await?;
        let second = Mutex::new(SecondProcess { plugin: second_plugin, target, options, client: None });
        Ok(Some(Arc::new(Self { client, second, history: CrashHistory::default() })))
    }

    /// Runs a prediction in a separate process. Dropping the returned future cancels the prediction, but a crash of the
    /// process is still recorded.
    ///
    /// # Errors
    /// Fails with the error of the model; `PLUGIN_CRASHED` if the inputs crash the process; `TEMPORARILY_UNAVAILABLE`
    /// if the process cannot be started before `until`.
    pub(super) async fn predict(self: Arc<Self>, inputs: Payload, until: Instant) -> Result<Payload> {
        let (_connected, mut disconnect) = watch::channel(());
        let prediction = spawn(async move {
            let request = Predict { inputs, ..Predict::default() };
            self.predict_request(&request, until, &mut disconnect).await
        });
        prediction.await.unwrap_or_else(|_panicked| Err(Error::internal("the prediction failed inside of the server")))
    }

    async fn predict_request(&self, request: &Predict, until: Instant, disconnect: &mut Disconnect) -> Result<Payload> {
        match self.history.get(&request.inputs) {
            Some(CrashRole::Cause(message)) => return Err(crashed(&message)),
            Some(CrashRole::Suspect) => return self.predict_alone(request, until, disconnect).await,
            None => {}
        }
        match call_process(&self.client, request, until, disconnect).await {
            Err(error) if *error.code() == ErrorCode::PLUGIN_CRASHED => {
                self.history.set(&request.inputs, CrashRole::Suspect);
                self.predict_alone(request, until, disconnect).await
            }
            result => result,
        }
    }

    /// Runs inputs that may have caused a crash in the second process. Waits until no other request uses that process.
    async fn predict_alone(&self, request: &Predict, until: Instant, disconnect: &mut Disconnect) -> Result<Payload> {
        let mut second = tokio::select! {
            second = self.second.lock() => second,
            () = disconnected(disconnect) => return Err(cancelled()),
        };
        // An earlier request may have had the same inputs.
        if let Some(CrashRole::Cause(message)) = self.history.get(&request.inputs) {
            return Err(crashed(&message));
        }
        let client = match &second.client {
            Some(client) => client.clone(),
            None => {
                let opened = second.plugin.open(&second.target, &second.options, None);
                let opened = tokio::select! {
                    opened = opened => opened,
                    () = disconnected(disconnect) => return Err(cancelled()),
                };
                second.client.insert(opened.map_err(|error| unavailable(&error, PAUSE))?).clone()
            }
        };
        match call_process(&client, request, until, disconnect).await {
            Err(error) if *error.code() == ErrorCode::PLUGIN_CRASHED => {
                let message = error.message().to_owned();
                let error = crashed(&message);
                self.history.set(&request.inputs, CrashRole::Cause(message));
                Err(error)
            }
            Err(error) if [ErrorCode::CANCELLED, ErrorCode::DEADLINE_EXCEEDED].contains(error.code()) => Err(error),
            result => {
                self.history.clear(&request.inputs);
                result
            }
        }
    }
}

/// Runs a prediction in the process of `client`. If that process must be restarted first, waits for the restart until
/// `until`. Returns `PLUGIN_CRASHED` only if the process had begun the prediction.
async fn call_process(
    client: &RemoteClient,
    request: &Predict,
    until: Instant,
    disconnect: &mut Disconnect,
) -> Result<Payload> {
    loop {
        let time = until.saturating_duration_since(Instant::now());
        let result = client.predict_until(request, Some(time), disconnected(disconnect)).await;
        let not_begun = |error: &Error| *error.code() == ErrorCode::PLUGIN_CRASHED && error.is_retryable();
        let error = match result {
            Err(error) if not_begun(&error) => error,
            result => return result,
        };
        let pause = error.retry_after().unwrap_or(PAUSE);
        if pause >= until.saturating_duration_since(Instant::now()) {
            return Err(unavailable(&error, pause));
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = disconnected(disconnect) => return Err(cancelled()),
        }
    }
}

/// Waits until the client that sent the request has disconnected.
async fn disconnected(disconnect: &mut Disconnect) {
    while disconnect.changed().await.is_ok() {}
}

fn cancelled() -> Error {
    Error::new(ErrorCode::CANCELLED, "the client disconnected")
}

/// Returns the error for inputs that crash the process that runs the model. `message` describes the crash.
fn crashed(message: &str) -> Error {
    let message =
        format!("the prediction crashed the process that runs the model: {message}; these inputs are not run again");
    Error::new(ErrorCode::PLUGIN_CRASHED, message)
}

fn unavailable(error: &Error, pause: Duration) -> Error {
    let message = format!("the model is temporarily unavailable: {}", error.message());
    Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).with_retry_after(pause)
}
