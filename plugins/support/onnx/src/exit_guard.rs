//! Who is inside ONNX Runtime. When the process ends, the library takes itself apart, and crashes whoever still works
//! with it: so the end stops the runs, waits until all have left, and lets nobody enter any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mlflow_deploy_plugin_api::at_exit;
use ort::session::RunOptions;

static WORK: Mutex<Work> = Mutex::new(Work { entered: 0, inside: BTreeMap::new(), is_over: false });
static LEFT: Condvar = Condvar::new();

struct Work {
    /// How often it was entered.
    entered: u64,
    /// What stops each run that goes on; nothing stops other work.
    inside: BTreeMap<u64, Option<Arc<RunOptions>>>,
    is_over: bool,
}

/// Somebody is inside until this is dropped.
pub(crate) struct RunGuard(u64);

impl RunGuard {
    /// Enters to run a model, which `stop` stops.
    pub(crate) fn to_run(stop: &Arc<RunOptions>) -> Self {
        Self::enter(Some(Arc::clone(stop)))
    }

    /// Enters to make or to release something.
    pub(crate) fn to_change() -> Self {
        Self::enter(None)
    }

    /// Does not return while the process ends.
    fn enter(stop: Option<Arc<RunOptions>>) -> Self {
        let mut work = LEFT.wait_while(work(), |work| work.is_over).unwrap_or_else(PoisonError::into_inner);
        work.entered += 1;
        let number = work.entered;
        work.inside.insert(number, stop);
        Self(number)
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        /// Globals that the library makes as it works are destroyed before anything older hears of the end.
        const WHILE_GLOBALS_ARE_MADE: u64 = 64;
        if self.0 <= WHILE_GLOBALS_ARE_MADE {
            // Without memory to note it the end is not guarded, and nothing else is wrong.
            let _unguarded = at_exit(end);
        }
        let mut work = work();
        work.inside.remove(&self.0);
        if work.is_over {
            LEFT.notify_all();
        }
    }
}

extern "C" fn end() {
    /// A run stops at the next node of its model; the making of a session takes its time.
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut work = work();
    if std::mem::replace(&mut work.is_over, true) {
        return;
    }
    for stop in work.inside.values().flatten() {
        // It fails only where there is nothing to stop.
        let _nothing = stop.terminate();
    }
    drop(LEFT.wait_timeout_while(work, PATIENCE, |work| !work.inside.is_empty()));
}

fn work() -> MutexGuard<'static, Work> {
    WORK.lock().unwrap_or_else(PoisonError::into_inner)
}
