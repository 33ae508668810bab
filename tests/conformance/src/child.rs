//! The side of a case's own process: it takes the job from its parent, does it, and tells line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::case::{Case, Process};
use crate::config::Config;
use crate::mark::Mark;

/// What tells a process that it was started for a case. It is all that a stripped environment holds.
pub(crate) const VARIABLE: &str = "MLFLOW_DEPLOY_CONFORMANCE_CHILD";

/// What a child is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) case: String,
    pub(crate) plugin: PathBuf,
    pub(crate) config: Config,
    pub(crate) seed: u64,
    /// The program that hosts the plugin, where it is to run in a process of its own.
    pub(crate) plugin_host: Option<PathBuf>,
    /// How long a reply may take, in milliseconds.
    pub(crate) patience_ms: u64,
}

/// What a child tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    /// It has understood its job: what happens from now on is the plugin's doing.
    Begun,
    /// What it does next, or heard of.
    Log(String),
    Pass,
    Fail(String),
    Warn(String),
    Skip(String),
    /// The plugin's own process ended.
    Died {
        /// What comes after "its process".
        how: String,
        signal: Option<i32>,
        /// What it printed last.
        log: Vec<String>,
    },
    /// The harness could not do its work.
    Fault(String),
}

/// Where a child tells.
#[derive(Debug)]
pub(crate) struct Teller(Mutex<UnixStream>);

impl Teller {
    pub(crate) fn tell(&self, line: &Line) {
        let Ok(mut json) = serde_json::to_vec(line) else { return };
        json.push(b'\n');
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A parent that has gone takes its children with it.
        let _gone = stream.write_all(&json);
    }
}

/// Runs a case where this process was started for one; returns whether it was.
pub(crate) fn run_if_asked() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    // Without a connection there is nobody to tell: the parent sees that it ended before it began.
    let Ok(stream) = connection() else { return true };
    let teller = Arc::new(Teller(Mutex::new(stream)));
    let working = Arc::clone(&teller);
    // As the host calls plugins: a main thread may have another stack.
    let thread = thread::Builder::new().stack_size(mlflow_deploy::STACK_SIZE);
    let Ok(thread) = thread.spawn(move || work(&working)) else { return true };
    let (line, process) = match thread.join() {
        Ok(Ok(process)) => (Line::Pass, process),
        Ok(Err((mark, process))) => (mark.into(), process),
        Err(_panicked) => (Line::Fault("the harness panicked: see what it printed".to_owned()), Process::Plain),
    };
    teller.tell(&line);
    if process == Process::Leaves && matches!(line, Line::Pass) {
        return true;
    }
    // The parent has all that it needs and ends this process, so that nothing that the plugin left behind runs.
    loop {
        thread::park();
    }
}

/// Takes the connection off standard input, and leaves nothing there for the plugin to read.
fn connection() -> std::io::Result<UnixStream> {
    let stream = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(stream)
}

fn work(teller: &Arc<Teller>) -> Result<Process, (Mark, Process)> {
    let (case, job) = prepare(teller).map_err(|fault| (Mark::Fault(fault), Process::Plain))?;
    teller.tell(&Line::Begun);
    let bench = Bench::new(job, Arc::clone(teller));
    (case.check)(&bench).map(|()| case.process).map_err(|mark| (mark, case.process))
}

fn prepare(teller: &Teller) -> Result<(&'static Case, Job), String> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| format!("failed to switch core dumps off: {error}"))?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| format!("failed to tie the process to its parent: {error}"))?;
    let mut job = String::new();
    let stream = teller.0.lock().unwrap_or_else(PoisonError::into_inner);
    BufReader::new(&*stream).read_line(&mut job).map_err(|error| format!("failed to read the job: {error}"))?;
    drop(stream);
    let job: Job = serde_json::from_str(&job).map_err(|error| format!("failed to read the job: {error}"))?;
    let case = Case::by_id(&job.case).ok_or_else(|| format!("there is no case `{}`", job.case))?;
    Ok((case, job))
}

impl From<Mark> for Line {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Fail(why) => Self::Fail(why),
            Mark::Warn(why) => Self::Warn(why),
            Mark::Skip(why) => Self::Skip(why),
            Mark::Fault(why) => Self::Fault(why),
        }
    }
}
