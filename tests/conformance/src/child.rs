//! The child process in which a case runs. It receives its job from the harness, runs the case, and reports the result
//! to the harness.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::case::{Case, Process};
use crate::harness::Harness;
use crate::marker::Marker;
use crate::message::{Job, Line, Reporter, VARIABLE};

/// Runs a case if the harness started this process to run one. Returns true if the process has to exit now.
pub(crate) fn run_if_requested() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    // Without a connection the process cannot report anything. The harness notices that it exits before the case
    // starts.
    let Ok(stream) = connection() else { return true };
    let teller = Arc::new(Reporter::new(stream));
    let working = Arc::clone(&teller);
    // The thread has the stack size of the host's own threads. The main thread's stack may have another size.
    let thread = thread::Builder::new().stack_size(mlflow_deploy::STACK_SIZE);
    let Ok(thread) = thread.spawn(move || work(&working)) else { return true };
    let (line, process) = match thread.join() {
        Ok(Ok(process)) => (Line::Pass, process),
        Ok(Err((marker, process))) => (marker.into(), process),
        Err(_panicked) => {
            (Line::Fault("the harness panicked: see the output of the process".to_owned()), Process::Plain)
        }
    };
    teller.send(&line);
    if process == Process::Exits && matches!(line, Line::Pass) {
        return true;
    }
    // The process waits until the harness kills it, so that no exit handler of the plugin runs.
    loop {
        thread::park();
    }
}

/// Opens the connection to the harness, which the process receives as its standard input. Replaces standard input by
/// `/dev/null`, so that the plugin cannot read from the connection.
fn connection() -> std::io::Result<UnixStream> {
    let stream = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(stream)
}

fn work(teller: &Arc<Reporter>) -> Result<Process, (Marker, Process)> {
    let (case, job) = prepare(teller).map_err(|error| (Marker::Fault(error), Process::Plain))?;
    teller.send(&Line::Started);
    let harness = Harness::new(job, Arc::clone(teller));
    (case.check)(&harness).map(|()| case.process).map_err(|marker| (marker, case.process))
}

fn prepare(teller: &Reporter) -> Result<(&'static Case, Job), String> {
    let zero = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, zero).map_err(|error| format!("failed to disable core dumps: {error}"))?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| format!("failed to tie the process to its parent: {error}"))?;
    let job = teller.receive_job().map_err(|error| format!("failed to read the job: {error}"))?;
    let case = Case::by_id(&job.case).ok_or_else(|| format!("unknown case `{}`", job.case))?;
    Ok((case, job))
}
