//! The end of a plugin's process.

use std::fmt;

use rustix::process::Signal;

/// The signals that usually come from outside the process: from a user or the kernel.
const EXTERNAL_SIGNALS: [i32; 5] =
    [Signal::HUP.as_raw(), Signal::INT.as_raw(), Signal::QUIT.as_raw(), Signal::KILL.as_raw(), Signal::TERM.as_raw()];

/// The end of a plugin's process. Displayed as a phrase that follows "its process", such as
/// `was ended by signal 6 (SIGABRT)`.
#[derive(Clone, Debug)]
pub struct ProcessExit {
    pub(super) how: String,
    pub(super) signal: Option<i32>,
    pub(super) log: Vec<String>,
}

impl ProcessExit {
    /// Returns the signal that ended the process, if any.
    pub fn signal(&self) -> Option<i32> {
        self.signal
    }

    /// Returns the last lines of the log, oldest first.
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// Returns true if the cause may be outside the process: the user, or a lack of memory.
    pub fn is_from_outside(&self) -> bool {
        self.signal.is_some_and(|signal| EXTERNAL_SIGNALS.contains(&signal))
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.how)
    }
}
