//! Events: messages of a plugin that are not replies.

use serde::{Deserialize, Serialize};

/// The severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// A failure that no reply reports.
    Error = 1,
    /// A problem that the caller should know about. The call continues.
    Warn = 2,
    /// The progress of a call.
    Info = 3,
    /// Details for the analysis of a fault.
    Debug = 4,
}

/// A message of a plugin that is not a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The text, for a person.
    pub message: String,
    /// The completed part of a long call, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
}

impl Event {
    /// Returns an event with this text and without progress.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), progress: None }
    }
}
