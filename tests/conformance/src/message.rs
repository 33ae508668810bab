//! The messages between the harness and the child process in which a case runs. The harness sends one job. The child
//! process sends messages, each as a line of JSON.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::marker::Marker;

/// The environment variable that marks a process as the child process of a case. It is set even in an environment that
/// is empty otherwise.
pub(crate) const VARIABLE: &str = "MLFLOW_DEPLOY_CONFORMANCE_CHILD";

/// The job of a child process: the case to run, and the settings of the run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) case: String,
    pub(crate) plugin: PathBuf,
    pub(crate) config: Config,
    pub(crate) seed: u64,
    /// The path of the program that runs the plugin in a separate process. `None` if the child process itself loads the
    /// plugin.
    pub(crate) plugin_host: Option<PathBuf>,
    /// The time within which the plugin has to reply to a call, in milliseconds.
    pub(crate) reply_timeout_ms: u64,
}

/// A message from a case's child process to the harness.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    /// The child process has read its job. The plugin is the cause if the child process fails from now on.
    Started,
    /// The next step of the case. It is added to the log.
    Log(String),
    Pass,
    Fail(String),
    Warn(String),
    Skip(String),
    Unproven(String),
    /// The separate process in which an isolated plugin ran has exited.
    Died {
        /// The way in which the process exited. The text ends a sentence that begins with "its process".
        how: String,
        signal: Option<i32>,
        /// The last lines of the exited process's output.
        log: Vec<String>,
    },
    /// The harness failed, not the plugin.
    Fault(String),
}

/// The connection of a case's child process to the harness.
#[derive(Debug)]
pub(crate) struct Reporter(Mutex<UnixStream>);

impl Reporter {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Reads the job. It is the only message that the harness sends.
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
