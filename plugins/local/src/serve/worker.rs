//! A model in a process of its own: what it is fed with may end the process that runs it, and is not to end the server.
//!
//! A request that was in the process when it ended is run again, alone, in a second process: it answers, or ends that one
//! as well, and then is not run any more. The others wait until the first process has been started anew.

use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_plugin_api::args::Predict;
use mlflow_deploy_plugin_api::call::isolated_self;
use mlflow_deploy_plugin_api::ffi::{RemoteClient, RemotePlugin};
use mlflow_deploy_plugin_api::{ClientOptions, Error, ErrorCode, Payload, Result, TargetUri};
use tokio::spawn;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use super::verdicts::{Verdict, Verdicts};

/// How long to wait where a process could not be started, and does not say for how long.
const PAUSE: Duration = Duration::from_millis(500);

/// The processes that a model runs in.
pub(super) struct Worker {
    client: RemoteClient,
    /// The second process; whoever has the lock is alone in it.
    alone: Mutex<Alone>,
    verdicts: Verdicts,
}

/// A process that is started when it is first needed.
struct Alone {
    plugin: RemotePlugin,
    target: TargetUri,
    options: ClientOptions,
    client: Option<RemoteClient>,
}

/// Tells when the sender of a request has gone.
type Gone = watch::Receiver<()>;

impl Worker {
    /// Loads the model that `options` name into a process of its own; `None` where the host cannot start one.
    ///
    /// # Errors
    /// As the model says, and `PLUGIN_CRASHED` where loading it, or its input example, ends the process.
    pub(super) async fn start(target: TargetUri, options: ClientOptions) -> Result<Option<Arc<Self>>> {
        let (Some(plugin), Some(second)) = (isolated_self(), isolated_self()) else { return Ok(None) };
        let client = plugin.open(&target, &options, None).await?;
        let alone = Mutex::new(Alone { plugin: second, target, options, client: None });
        Ok(Some(Arc::new(Self { client, alone, verdicts: Verdicts::default() })))
    }

    /// Predicts. Where the caller gives up, the prediction is stopped; it is still seen to whether that ends the process.
    ///
    /// # Errors
    /// As the model says; `PLUGIN_CRASHED` where the inputs end its process; `TEMPORARILY_UNAVAILABLE` where the process
    /// cannot be started before `until`.
    pub(super) async fn predict(self: Arc<Self>, inputs: Payload, until: Instant) -> Result<Payload> {
        let (_present, mut gone) = watch::channel(());
        let answer = spawn(async move {
            let request = Predict { inputs, ..Predict::default() };
            self.answer(&request, until, &mut gone).await
        });
        answer.await.unwrap_or_else(|_panicked| Err(Error::internal("the prediction failed inside of the server")))
    }

    async fn answer(&self, request: &Predict, until: Instant, gone: &mut Gone) -> Result<Payload> {
        match self.verdicts.of(&request.inputs) {
            Some(Verdict::Ends(how)) => return Err(ends(&how)),
            Some(Verdict::Suspect) => return self.answer_alone(request, until, gone).await,
            None => {}
        }
        match ask(&self.client, request, until, gone).await {
            Err(error) if *error.code() == ErrorCode::PLUGIN_CRASHED => {
                self.verdicts.set(&request.inputs, Verdict::Suspect);
                self.answer_alone(request, until, gone).await
            }
            answer => answer,
        }
    }

    /// Runs what may end a process where it ends nothing else.
    async fn answer_alone(&self, request: &Predict, until: Instant, gone: &mut Gone) -> Result<Payload> {
        let mut alone = tokio::select! {
            alone = self.alone.lock() => alone,
            () = left(gone) => return Err(given_up()),
        };
        // One that waited before may have had the same inputs.
        if let Some(Verdict::Ends(how)) = self.verdicts.of(&request.inputs) {
            return Err(ends(&how));
        }
        let client = match &alone.client {
            Some(client) => client.clone(),
            None => {
                let opened = alone.plugin.open(&alone.target, &alone.options, None);
                let opened = tokio::select! {
                    opened = opened => opened,
                    () = left(gone) => return Err(given_up()),
                };
                alone.client.insert(opened.map_err(|error| not_now(&error, PAUSE))?).clone()
            }
        };
        match ask(&client, request, until, gone).await {
            Err(error) if *error.code() == ErrorCode::PLUGIN_CRASHED => {
                let how = error.message().to_owned();
                let error = ends(&how);
                self.verdicts.set(&request.inputs, Verdict::Ends(how));
                Err(error)
            }
            Err(error) if [ErrorCode::CANCELLED, ErrorCode::DEADLINE_EXCEEDED].contains(error.code()) => Err(error),
            answer => {
                self.verdicts.clear(&request.inputs);
                answer
            }
        }
    }
}

/// Asks a process; one that has to be started anew is waited for as long as the time lasts. `PLUGIN_CRASHED` is the answer
/// to a prediction that had begun.
async fn ask(client: &RemoteClient, request: &Predict, until: Instant, gone: &mut Gone) -> Result<Payload> {
    loop {
        let time = until.saturating_duration_since(Instant::now());
        let answer = client.predict_until(request, Some(time), left(gone)).await;
        let not_begun = |error: &Error| *error.code() == ErrorCode::PLUGIN_CRASHED && error.is_retryable();
        let error = match answer {
            Err(error) if not_begun(&error) => error,
            answer => return answer,
        };
        let pause = error.retry_after().unwrap_or(PAUSE);
        if pause >= until.saturating_duration_since(Instant::now()) {
            return Err(not_now(&error, pause));
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = left(gone) => return Err(given_up()),
        }
    }
}

/// Returns once the sender of the request has gone.
async fn left(gone: &mut Gone) {
    while gone.changed().await.is_ok() {}
}

fn given_up() -> Error {
    Error::new(ErrorCode::CANCELLED, "the client has gone")
}

/// What inputs are answered that are not run any more.
fn ends(how: &str) -> Error {
    let message =
        format!("the prediction ended the process that runs the model: {how}; these inputs are not run again");
    Error::new(ErrorCode::PLUGIN_CRASHED, message)
}

fn not_now(error: &Error, pause: Duration) -> Error {
    let message = format!("the model is not there just now: {}", error.message());
    Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).with_retry_after(pause)
}
