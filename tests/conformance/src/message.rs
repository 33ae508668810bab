//! The messages between the harness and the process of a case. The harness sends one job, and the process replies with
//! lines of JSON.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::marker::Marker;

/// The environment variable that marks the process of a case. A stripped environment holds only this variable.
pub(crate) const VARIABLE: &str = "MLFLOW_DEPLOY_CONFORMANCE_CHILD";

/// The job of a child process: the case to run, and its settings.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) case: String,
    pub(crate) plugin: PathBuf,
    pub(crate) config: Config,
    pub(crate) seed: u64,
    /// The path of the plugin host program, or `None` if the plugin runs in the process of the case.
    pub(crate) plugin_host: Option<PathBuf>,
    /// The timeout of a reply, in milliseconds.
    pub(crate) reply_timeout_ms: u64,
}

/// A message from a child process to the harness.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    /// The child has read its job. The plugin is the cause of later failures.
    Started,
    /// The next step of the case, for the log.
    Log(String),
    Pass,
    Fail(String),
    Warn(String),
    Skip(String),
    Unproven(String),
    /// The separate process of an isolated plugin exited.
    Died {
        /// The kind of exit, as the end of a sentence that starts with "its process".
        how: String,
        signal: Option<i32>,
        /// The last lines of the process's output.
        log: Vec<String>,
    },
    /// The harness itself failed.
    Fault(String),
}

/// The child's connection to the harness.
#[derive(Debug)]
pub(crate) struct Reporter(Mutex<UnixStream>);

impl Reporter {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Reads the job, the only message that the harness sends to the child.
    pub(crate) fn receive_job(&self) -> io::Result<Job> {
        let mut job = String::new();
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        BufReader::new(&*stream).read_line(&mut job)?;
        Ok(serde_json::from_str(&job)?)
    }

    pub(crate) fn send(&self, line: &Line) {
        let Ok(mut json) = serde_json::to_vec(line) else { return };
        json.push(b'\n');
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that the harness has exited, and this process is killed then.
        let _closed = stream.write_all(&json);
    }
}

impl From<Marker> for Line {
    fn from(marker: Marker) -> Self {
        match marker {
            Marker::Fail(why) => Self::Fail(why),
            Marker::Warn(why) => Self::Warn(why),
            Marker::Skip(why) => Self::Skip(why),
            Marker::Unproven(why) => Self::Unproven(why),
            Marker::Fault(why) => Self::Fault(why),
        }
    }
}
