//! Events, which are messages of a plugin other than replies, such as warnings.

use serde::{Deserialize, Serialize};

/// The severity of an event that a plugin sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// A failure that is not reported by the reply to a call.
    Error = 1,
    /// A problem that the caller should know about. The call continues.
    Warn = 2,
    /// Progress of a call, or other information for the user.
    Info = 3,
    /// Details for the analysis of a fault.
    Debug = 4,
}

/// A message of a plugin other than a reply, such as a warning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The text of the message, for the user.
    pub message: String,
    /// The completed part of a long call, from 0 to 1. `None` if the event does not report progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
}

impl Event {
    /// Returns an event with this text and without progress.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), progress: None }
    }
}
