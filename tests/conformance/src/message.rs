//! The messages between the harness and the process of a case: one job, and then lines of JSON.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::marker::Marker;

/// The environment variable that marks the process of a case. A stripped environment holds only this variable.
pub(crate) const VARIABLE: &str = "MLFLOW_DEPLOY_CONFORMANCE_CHILD";

/// The job of a child process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) case: String,
    pub(crate) plugin: PathBuf,
    pub(crate) config: Config,
    pub(crate) seed: u64,
    /// The plugin host program, if the plugin runs in a separate process.
    pub(crate) plugin_host: Option<PathBuf>,
    /// The timeout of a reply, in milliseconds.
    pub(crate) reply_timeout_ms: u64,
}

/// A message of a child process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    /// The child has read its job. Later failures are the plugin's.
    Started,
    /// The next step.
    Log(String),
    Pass,
    Fail(String),
    Warn(String),
    Skip(String),
    Unproven(String),
    /// The plugin's process exited.
    Died {
        /// The end of a sentence that starts with "its process".
        how: String,
        signal: Option<i32>,
        /// The last lines of its output.
        log: Vec<String>,
    },
    /// The harness itself failed.
    Fault(String),
}

/// Sends messages to the harness.
#[derive(Debug)]
pub(crate) struct Reporter(Mutex<UnixStream>);

impl Reporter {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Reads the job, which is the only message to the child.
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
        // If the harness has exited, this process is killed too.
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
