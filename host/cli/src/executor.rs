//! Runs a verb until it is done, interrupted, or out of time.
//!
//! The verb runs on a thread of its own, while this one keeps time and hears signals, so that nothing a plugin does can
//! keep it from ending the verb. A system that has no thread to give is an error.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use mlflow_deploy::STACK_SIZE;
use mlflow_deploy::command::ends_with_terminal;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::report::{CliError, Stderr};

/// How much longer than its limit a verb may take: a plugin that blocks the thread that calls it answers to nobody.
const GRACE: Duration = Duration::from_millis(200);

/// How long a server on this machine may take to stop.
const STOPPING: Duration = Duration::from_secs(5);

/// How long plugins may take to close their clients and to shut down. The contract allows their functions 50 ms.
const WINDING_UP: Duration = Duration::from_secs(3);

/// How long one waits before a spinner shows.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// How a verb is ended before it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// The caller's limit.
    pub(crate) limit: Option<Duration>,
    /// Whether the verb hears of an interruption itself, and winds up.
    pub(crate) is_orderly: bool,
}

/// Drives a verb to its end: `done` is told how it went, and gives the exit code.
///
/// What the verb leaves behind, its clients and its host, is dropped after that, on the verb's thread: a plugin that does
/// not return from there changes neither the answer nor the exit code.
pub(crate) fn execute<V, L>(verb: V, ending: Ending, talk: &Stderr, done: impl FnOnce(Result<(), CliError>) -> u8) -> u8
where
    V: Future<Output = (Result<(), CliError>, L)> + Send + 'static,
{
    let failed = |error| Err(CliError::Input(format!("failed to start: {error}")));
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return done(failed(error)),
    };
    let (sender, mut outcome) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let (finished, wound_up) = oneshot::channel::<()>();
    let handle = runtime.handle().clone();
    let run = move || {
        let ended = handle.block_on(async {
            tokio::select! {
                ended = verb => Some(ended),
                _ = stopped => None,
            }
        });
        if let Some((result, left)) = ended {
            // The receiver is gone if the verb was given up.
            let _gone = sender.send(result);
            drop(left);
        }
        drop(finished);
    };
    let driven = runtime.block_on(async {
        let mut interruption = match Interruption::listen() {
            Ok(interruption) => interruption,
            Err(error) => return Ok(done(failed(error))),
        };
        // Here, where this thread has all that it waits with: to get it, it would need the system's loader, whose lock a
        // library that hangs while it is loaded holds.
        let thread = match thread::Builder::new().name("verb".to_owned()).stack_size(STACK_SIZE).spawn(run) {
            Ok(thread) => thread,
            Err(error) => return Ok(done(failed(io::Error::other(format!("no thread to run on: {error}"))))),
        };
        let mut failure = None;
        let result = tokio::select! {
            result = &mut outcome => Some(result),
            ended = ended(ending, &mut interruption, talk) => { failure = Some(ended); None }
        };
        let result = match result {
            None if ending.is_orderly => tokio::select! {
                result = &mut outcome => Some(result),
                () = sleep(STOPPING) => {
                    talk.warning(&format!("the server did not stop within {} s", STOPPING.as_secs()));
                    None
                }
                // A second request is not waited for.
                () = interruption.heard() => None,
            },
            result => result,
        };
        match (result, failure) {
            (Some(Ok(result)), _) => {
                let code = done(result);
                wind_up(wound_up, &mut interruption, talk).await;
                Ok(code)
            }
            (None, Some(failure)) => {
                // What is on its way is dropped, and with it unfinished files, unless a plugin holds on to the thread.
                drop(stop);
                let _dropped = timeout(GRACE, wound_up).await;
                Ok(done(Err(failure)))
            }
            // The verb panicked.
            _ => Err(thread),
        }
    });
    runtime.shutdown_background();
    driven.unwrap_or_else(|thread| resume_unwind(thread.join().expect_err("a thread that says nothing panicked")))
}

/// Waits until what the verb left behind is dropped, no longer than its limit and until the next interruption.
async fn wind_up(wound_up: oneshot::Receiver<()>, interruption: &mut Interruption, talk: &Stderr) {
    tokio::select! {
        _dropped = wound_up => {}
        () = sleep(WINDING_UP) => talk.warning(&format!(
            "a plugin has not closed its client or shut down within {} s: the command ends without waiting for it",
            WINDING_UP.as_secs()
        )),
        () = interruption.heard() => {}
    }
}

/// Why a verb is ended before it is done. Shows meanwhile that something is going on.
async fn ended(ending: Ending, interruption: &mut Interruption, talk: &Stderr) -> CliError {
    let stuck = async {
        let Some(limit) = ending.limit else { return std::future::pending().await };
        sleep(limit.saturating_add(GRACE)).await;
        limit
    };
    tokio::select! {
        () = interruption.heard() => CliError::Interrupted,
        limit = stuck => CliError::Timeout(limit),
        never = turn(talk) => match never {},
    }
}

/// Shows that something is going on, once it is.
async fn turn(talk: &Stderr) -> Infallible {
    sleep(PATIENCE).await;
    talk.spin();
    loop {
        sleep(TURN).await;
        talk.turn();
    }
}

/// What asks the process to end: Ctrl-C, `SIGTERM`, `SIGQUIT`, and a terminal that closes.
pub(crate) struct Interruption(Vec<Signal>);

impl Interruption {
    /// Begins to listen. From the first time on, the signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()];
        // Under `nohup` a closed terminal ends nothing.
        let hangup = ends_with_terminal().then(SignalKind::hangup);
        kinds.into_iter().chain(hangup).map(signal).collect::<Result<_, _>>().map(Self)
    }

    /// Returns when a signal comes.
    pub(crate) async fn heard(&mut self) {
        poll_fn(|context| {
            // All of them are polled, so that each wakes this task.
            let heard = self.0.iter_mut().filter_map(|signal| match signal.poll_recv(context) {
                Poll::Ready(received) => received,
                Poll::Pending => None,
            });
            if heard.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
