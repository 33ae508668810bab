//! Runs a verb until it is done, interrupted, or out of time.
//!
//! The verb runs on a thread of its own, while this one keeps time and hears signals, so that nothing a plugin does can
//! keep it from ending the verb. A system that has no thread to give is an error.

use std::convert::Infallible;
use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use mlflow_deploy::STACK_SIZE;
use tokio::runtime::Builder;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::report::{Failure, Talk};

/// How much longer than its limit a verb may take: a plugin that blocks the thread that calls it answers to nobody.
const GRACE: Duration = Duration::from_millis(200);

/// How long a server on this machine may take to stop.
const STOPPING: Duration = Duration::from_secs(5);

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

/// Drives a verb to its end.
pub(crate) fn drive<V>(verb: V, ending: Ending, talk: &Talk) -> Result<(), Failure>
where
    V: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let failed = |error| Failure::Input(format!("failed to start: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (sender, mut outcome) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let handle = runtime.handle().clone();
    let run = move || {
        let done = handle.block_on(async {
            tokio::select! {
                done = verb => Some(done),
                _ = stopped => None,
            }
        });
        // Nobody is left to be told where the verb was given up.
        let _gone = sender.send(done);
    };
    let driven = runtime.block_on(async {
        // Here, where this thread has all that it waits with: to get it, it would need the system's loader, whose lock a
        // library that hangs while it is loaded holds.
        let thread = thread::Builder::new().name("verb".to_owned()).stack_size(STACK_SIZE).spawn(run);
        let thread = thread.map_err(|error| failed(io::Error::other(format!("no thread to run on: {error}"))))?;
        let ended = tokio::select! {
            done = &mut outcome => return Ok::<_, Failure>(done.map_err(|_panicked| thread)),
            failure = ended(ending, talk) => failure,
        };
        if ending.is_orderly {
            tokio::select! {
                done = &mut outcome => return Ok(done.map_err(|_panicked| thread)),
                () = sleep(STOPPING) => talk.warning(&format!("the server did not stop within {} s", STOPPING.as_secs())),
                // Whoever asks twice does not want to wait.
                () = interrupted() => {}
            }
        }
        // What is on its way is dropped, and with it unfinished files, unless a plugin holds on to the thread.
        drop(stop);
        let _dropped = timeout(GRACE, outcome).await;
        Ok(Ok(Some(Err(ended))))
    })?;
    runtime.shutdown_background();
    match driven {
        Ok(outcome) => outcome.unwrap_or(Ok(())),
        Err(thread) => resume_unwind(thread.join().expect_err("a thread that says nothing panicked")),
    }
}

/// Why a verb is ended before it is done. Shows meanwhile that something is going on.
async fn ended(ending: Ending, talk: &Talk) -> Failure {
    let stuck = async {
        let Some(limit) = ending.limit else { return std::future::pending().await };
        sleep(limit.saturating_add(GRACE)).await;
        limit
    };
    tokio::select! {
        () = interrupted() => Failure::Interrupted,
        limit = stuck => Failure::Stuck(limit),
        never = turn(talk) => match never {},
    }
}

/// Shows that something is going on, once it is.
async fn turn(talk: &Talk) -> Infallible {
    sleep(PATIENCE).await;
    talk.spin();
    loop {
        sleep(TURN).await;
        talk.turn();
    }
}

/// Ctrl-C, or the request to end.
pub(crate) async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
