//! Describes how the process of a plugin ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

/// The signals by which the user, another process or the system ends a process.
const OUTSIDE: [i32; 5] =
    [Signal::HUP.as_raw(), Signal::INT.as_raw(), Signal::QUIT.as_raw(), Signal::KILL.as_raw(), Signal::TERM.as_raw()];

/// The way in which the process of a plugin ended. `Display` shows a predicate that can follow "its process", such as
/// `was killed by signal 6 (SIGABRT)`.
#[derive(Clone, Debug)]
pub struct ProcessExit {
    description: String,
    signal: Option<i32>,
    log: Vec<String>,
}

impl ProcessExit {
    /// Returns a description of a process that exited or was killed by a signal. `log` holds the last lines of its
    /// output.
    pub(crate) fn from_status(status: ExitStatus, log: Vec<String>) -> Self {
        let signal = status.signal();
        let description = match signal {
            // `signal: 6 (SIGABRT)`
            Some(_) => format!("was killed by {}", status.to_string().replacen(": ", " ", 1)),
            None => format!("exited with code {}", status.code().unwrap_or_default()),
        };
        Self { description, signal, log }
    }

    /// Returns a description of a process that the host killed. `description` is the predicate that `Display` shows.
    pub(crate) fn killed(description: impl Into<String>, log: Vec<String>) -> Self {
        Self { description: description.into(), signal: None, log }
    }

    /// Returns the number of the signal that killed the process. Returns `None` if the process exited, or if the host
    /// killed it.
    pub fn signal(&self) -> Option<i32> {
        self.signal
    }

    /// Returns the last lines of the process's output, oldest first.
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// Returns true if the signal that killed the process may have come from the user, from another process, or from
    /// the system because memory was low.
    pub fn is_from_outside(&self) -> bool {
        self.signal.is_some_and(|signal| OUTSIDE.contains(&signal))
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.description)
    }
}
