//! Runs a verb until it completes, is interrupted, or exceeds its deadline.
//!
//! The verb runs on a thread of its own. The main thread enforces the deadline and receives signals, so a plugin that
//! blocks the verb's thread cannot keep the command from ending.

use std::convert::Infallible;
use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use mlflow_deploy::STACK_SIZE;
use mlflow_deploy_plugin_api::Deadline;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, sleep_until, timeout};

use crate::report::{CliError, Stderr};
use crate::signals::TerminationSignals;

/// The maximum time that the command waits for a local model server to stop.
pub(crate) const MAX_STOP_TIME: Duration = Duration::from_secs(5);

/// The maximum time that the command waits at its end for plugins to close their clients and shut down. Each of these
/// functions of a plugin may take 50 ms.
const MAX_SHUTDOWN_TIME: Duration = Duration::from_secs(3);

/// The delay before the spinner appears.
const SPINNER_DELAY: Duration = Duration::from_millis(300);

/// The time between two frames of the spinner.
const SPINNER_INTERVAL: Duration = Duration::from_millis(100);

/// The options of [`execute`]: the deadline of the verb, and its response to an interrupt.
#[derive(Debug)]
pub(crate) struct ExecuteOptions {
    /// The deadline of the verb, which the verb may set later. The verb can report the error itself until
    /// [`Deadline::PROCESS_GRACE`] after the deadline.
    pub(crate) deadline: watch::Receiver<Option<Deadline>>,
    /// True if the verb stops its server itself when it is interrupted.
    pub(crate) stops_gracefully: bool,
}

/// Runs a verb and returns the exit code, which `done` derives from the result of the verb.
///
/// The second value that the verb returns holds its clients and its host. It is dropped on the verb's thread after
/// `done` has run. A plugin that blocks the drop thus changes neither the output nor the exit code.
pub(crate) fn execute<V, L>(
    verb: V,
    options: ExecuteOptions,
    stderr: &Stderr,
    done: impl FnOnce(Result<(), CliError>) -> u8,
) -> u8
where
    V: Future<Output = (Result<(), CliError>, L)> + Send + 'static,
{
    let not_started = |error| Err(CliError::Input(format!("failed to start: {error}")));
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return done(not_started(error)),
    };
    let (result_sender, mut result_receiver) = oneshot::channel();
    let (cancel, cancelled) = oneshot::channel::<()>();
    let (finished, shut_down) = oneshot::channel::<()>();
    let handle = runtime.handle().clone();
    let run = move || {
        let output = handle.block_on(async {
            tokio::select! {
                output = verb => Some(output),
                _ = cancelled => None,
            }
        });
        if let Some((result, leftovers)) = output {
            // Fails if the main thread has stopped waiting.
            let _closed = result_sender.send(result);
            drop(leftovers);
        }
        drop(finished);
    };
    let exit_code = runtime.block_on(async {
        let mut signals = match TerminationSignals::listen() {
            Ok(signals) => signals,
            Err(error) => return Ok(done(not_started(error))),
        };
        // Spawned last, after the timer and the signal handlers of this thread exist. To create them later may need the
        // lock of the system's loader, which a library that hangs during loading holds.
        let thread = match thread::Builder::new().name("verb".to_owned()).stack_size(STACK_SIZE).spawn(run) {
            Ok(thread) => thread,
            Err(error) => {
                return Ok(done(not_started(io::Error::other(format!("failed to spawn a thread: {error}")))));
            }
        };
        let mut early_end = None;
        let result = tokio::select! {
            result = &mut result_receiver => Some(result),
            error = end_early(options.deadline, &mut signals, stderr) => { early_end = Some(error); None }
        };
        let result = match result {
            None if options.stops_gracefully => tokio::select! {
                result = &mut result_receiver => Some(result),
                () = sleep(MAX_STOP_TIME) => {
                    stderr.warning(&format!("the server did not stop within {} s", MAX_STOP_TIME.as_secs()));
                    None
                }
                // A second interrupt ends the command at once.
                () = signals.recv() => None,
            },
            result => result,
        };
        match (result, early_end) {
            (Some(Ok(result)), _) => {
                let code = done(result);
                wait_for_shutdown(shut_down, &mut signals, stderr).await;
                Ok(code)
            }
            (None, Some(error)) => {
                // Drops the verb, and with it unfinished files, unless a plugin blocks the thread.
                drop(cancel);
                let _dropped = timeout(Deadline::PROCESS_GRACE, shut_down).await;
                Ok(done(Err(error)))
            }
            // The verb panicked.
            _ => Err(thread),
        }
    });
    runtime.shutdown_background();
    exit_code.unwrap_or_else(|thread| resume_unwind(thread.join().expect_err("a thread without a result panicked")))
}

/// Waits until the verb's thread has dropped its clients and its host. Stops waiting after [`MAX_SHUTDOWN_TIME`], or at
/// the next signal.
async fn wait_for_shutdown(shut_down: oneshot::Receiver<()>, signals: &mut TerminationSignals, stderr: &Stderr) {
    tokio::select! {
        _dropped = shut_down => {}
        () = sleep(MAX_SHUTDOWN_TIME) => stderr.warning(&format!(
            "a plugin did not close its client or shut down within {} s; exiting without waiting for it",
            MAX_SHUTDOWN_TIME.as_secs()
        )),
        () = signals.recv() => {}
    }
}

/// Waits for a signal or the deadline, and returns the error that ends the verb. Shows the spinner while it waits.
async fn end_early(
    mut deadline: watch::Receiver<Option<Deadline>>,
    signals: &mut TerminationSignals,
    stderr: &Stderr,
) -> CliError {
    let expiry = async {
        let set = deadline.wait_for(Option::is_some).await.map_or(None, |deadline| *deadline);
        // The verb has ended without a deadline.
        let Some(deadline) = set else { return std::future::pending().await };
        sleep_until(deadline.extended(Deadline::PROCESS_GRACE).instant().into()).await;
        deadline.limit()
    };
    tokio::select! {
        () = signals.recv() => CliError::Interrupted,
        limit = expiry => CliError::Timeout(limit),
        never = run_spinner(stderr) => match never {},
    }
}

/// Shows the spinner after [`SPINNER_DELAY`], then draws its frames. Never returns.
async fn run_spinner(stderr: &Stderr) -> Infallible {
    sleep(SPINNER_DELAY).await;
    stderr.show_spinner();
    loop {
        sleep(SPINNER_INTERVAL).await;
        stderr.tick_spinner();
    }
}
