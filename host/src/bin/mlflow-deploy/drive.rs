//! Runs a verb until it is done, interrupted, or out of time.
//!
//! The verb runs on a thread of its own, and a second one keeps time and hears signals, so that nothing a plugin does
//! can keep the other two from ending it.

use std::panic::resume_unwind;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::report::{Failure, Talk};

/// How much longer than its limit a verb may take: a plugin that blocks the thread that calls it answers to nobody.
const GRACE: Duration = Duration::from_millis(200);

/// How long a server on this machine may take to stop.
const STOPPING: Duration = Duration::from_secs(5);

/// How long one waits before a spinner shows.
const PATIENCE: Duration = Duration::from_millis(300);

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
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Input(format!("failed to start: {error}")))?;
    let outcome = runtime.block_on(async {
        let mut verb = tokio::spawn(verb);
        let stuck = async {
            match ending.limit {
                Some(limit) => {
                    sleep(limit.saturating_add(GRACE)).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        let watch = async {
            sleep(PATIENCE).await;
            talk.spin();
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            done = &mut verb => return done.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic())),
            () = interrupted() => Err(Failure::Interrupted),
            limit = stuck => Err(Failure::Stuck(limit)),
            () = watch => Ok(()),
        };
        if ending.is_orderly {
            tokio::select! {
                stopped = &mut verb => return stopped.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic())),
                () = sleep(STOPPING) => talk.warning(&format!("the server did not stop within {} s", STOPPING.as_secs())),
                // Whoever asks twice does not want to wait.
                () = interrupted() => {}
            }
        }
        // What is on its way is dropped, and with it unfinished files, unless a plugin holds on to the thread.
        verb.abort();
        let _dropped = timeout(GRACE, verb).await;
        ended
    });
    runtime.shutdown_background();
    outcome
}

/// Ctrl-C, or the request to end.
pub(crate) async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
