//! Tracks the calls into ONNX Runtime. When the process exits, the library destroys its global objects, and threads
//! that still use them crash. An exit handler therefore stops the runs of models, waits for the active calls, and
//! blocks new ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use mlflow_deploy_plugin_api::{at_exit, sync};
use ort::session::RunOptions;

static CALLS: Mutex<ActiveCalls> = Mutex::new(ActiveCalls { started: 0, active: BTreeMap::new(), is_exiting: false });
static CALL_ENDED: Condvar = Condvar::new();

struct ActiveCalls {
    /// The number of calls into ONNX Runtime that have started.
    started: u64,
    /// The run options with which each active call can be terminated; `None` for calls that cannot be terminated.
    active: BTreeMap<u64, Option<Arc<RunOptions>>>,
    is_exiting: bool,
}

/// Marks a call into ONNX Runtime as active. The exit of the process waits until this value is dropped.
pub(crate) struct ExitGuard(u64);

impl ExitGuard {
    /// Guards the run of a model. The exit handler can terminate the run through `options`.
    pub(crate) fn for_run(options: &Arc<RunOptions>) -> Self {
        Self::new(Some(Arc::clone(options)))
    }

    /// Guards the creation or the release of an ONNX Runtime object. The exit handler cannot terminate this call.
    pub(crate) fn for_object() -> Self {
        Self::new(None)
    }

    /// Registers a call into ONNX Runtime. Does not return if the process is exiting.
    fn new(options: Option<Arc<RunOptions>>) -> Self {
        let mut calls =
            CALL_ENDED.wait_while(sync::lock(&CALLS), |calls| calls.is_exiting).unwrap_or_else(PoisonError::into_inner);
        calls.started += 1;
        let number = calls.started;
        calls.active.insert(number, options);
        Self(number)
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        /// The number of calls, from the first one on, that may create globals. The exit handler is registered again
        /// after each of them. Exit handlers run in reverse order, so the handler then runs before the globals are
        /// destroyed.
        const CALLS_THAT_CREATE_GLOBALS: u64 = 64;
        if self.0 <= CALLS_THAT_CREATE_GLOBALS {
            // Registration fails only without memory. The exit is then not guarded.
            let _unguarded = at_exit(stop_runs);
        }
        let mut calls = sync::lock(&CALLS);
        calls.active.remove(&self.0);
        if calls.is_exiting {
            CALL_ENDED.notify_all();
        }
    }
}

extern "C" fn stop_runs() {
    /// The maximum time that the exit of the process waits for active calls. A run stops at the next node of its model,
    /// but the creation of a session cannot be stopped.
    const MAX_WAIT: Duration = Duration::from_secs(3);
    let mut calls = sync::lock(&CALLS);
    if std::mem::replace(&mut calls.is_exiting, true) {
        return;
    }
    for options in calls.active.values().flatten() {
        let _finished = options.terminate();
    }
    drop(CALL_ENDED.wait_timeout_while(calls, MAX_WAIT, |calls| !calls.active.is_empty()));
}
