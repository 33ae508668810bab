//! What hears the plugin: calls by id, and whoever waits for them.
//!
//! A callback copies, enqueues and wakes; it never runs the caller's code. What a plugin must not do — reply twice,
//! send a chunk without credit — ends in an error for the caller or a fault in the log, and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::ReplyHead;
use super::abi::{STATUS_ERROR, STATUS_OK};
use super::seam::{Lent, ToHost, check_size};
use crate::call::{Event, Level};
use crate::{Error, ErrorCode, JSON, Payload, Result};

/// Where a plugin's events go: the call they concern, 0 for none, how much they matter, and what they say.
pub(super) type Listener = Arc<dyn Fn(u64, Level, Event) + Send + Sync>;

/// The calls of one plugin that have not been answered.
pub(super) struct Pending {
    calls: Mutex<HashMap<u64, Waiting>>,
    listener: Listener,
}

/// A call that has not been answered.
pub(super) struct Waiting {
    /// The client, 0 for a call of the plugin itself.
    pub(super) client: u64,
    /// How many more chunks the plugin may send.
    pub(super) credit: u32,
    pub(super) receiver: Receiver,
}

/// Who waits for a call.
pub(super) enum Receiver {
    /// Nobody any more; the reply is still owed.
    Nobody {
        /// Whether the plugin has been told, or is about to be.
        told: bool,
        /// Called where the call succeeds all the same: an open that nobody waits for has to be closed.
        undo: Option<Box<dyn FnOnce() + Send>>,
    },
    /// The caller of a plain operation.
    One(oneshot::Sender<Result<Parts>>),
    /// The caller of a stream.
    Many(mpsc::UnboundedSender<Result<Parts>>),
}

/// A reply or a chunk as it came; it is read where it is awaited.
pub(super) struct Parts {
    status: u32,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Pending {
    pub(super) fn new(listener: Listener) -> Self {
        Self { calls: Mutex::default(), listener }
    }

    pub(super) fn insert(&self, call: u64, waiting: Waiting) {
        self.lock().insert(call, waiting);
    }

    /// Lets a stream's plugin send more chunks; false where the call has ended.
    pub(super) fn grant(&self, call: u64, chunks: u32) -> bool {
        match self.lock().get_mut(&call) {
            Some(waiting) => {
                waiting.credit = waiting.credit.saturating_add(chunks);
                matches!(waiting.receiver, Receiver::Many(_))
            }
            None => false,
        }
    }

    /// Notes that nobody waits for a call any more; true where the plugin is to be told.
    pub(super) fn abandon(&self, call: u64, undo: Option<Box<dyn FnOnce() + Send>>) -> bool {
        let mut calls = self.lock();
        let Some(waiting) = calls.get_mut(&call) else { return false };
        let nobody = Receiver::Nobody { told: true, undo };
        !matches!(std::mem::replace(&mut waiting.receiver, nobody), Receiver::Nobody { told: true, .. })
    }

    /// Ends every call of a client with this error; returns the ids of which the plugin is to be told.
    pub(super) fn abandon_client(&self, client: u64, error: &Error) -> Vec<u64> {
        let mut ended = Vec::new();
        for (call, waiting) in self.lock().iter_mut().filter(|(_, waiting)| waiting.client == client) {
            ended.push((*call, std::mem::replace(&mut waiting.receiver, Receiver::NOBODY)));
        }
        ended.into_iter().filter_map(|(call, receiver)| receiver.end(Err(error.clone())).then_some(call)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports what the plugin did wrong where no caller can be told.
    fn fault(&self, call: u64, what: &str) {
        let message = format!("the plugin broke the contract: it {what} (call {call})");
        (self.listener)(call, Level::Error, Event { message, progress: None });
    }
}

impl ToHost for Pending {
    fn reply(&self, call: u64, status: u32, lent: Lent<'_>) {
        let parts = Parts::copy(status, lent);
        let waiting = self.lock().remove(&call);
        match waiting {
            None => self.fault(call, "replied to a call that it was not asked for, or has answered already"),
            Some(Waiting { receiver: Receiver::Nobody { undo: Some(undo), .. }, .. }) => {
                if parts.is_ok_and(|parts| parts.is_ok()) {
                    undo();
                }
            }
            Some(waiting) => {
                waiting.receiver.end(parts);
            }
        }
    }

    fn chunk(&self, call: u64, lent: Lent<'_>) {
        let parts = Parts::copy(STATUS_OK, lent);
        let mut calls = self.lock();
        let Some(waiting) = calls.get_mut(&call) else {
            drop(calls);
            return self.fault(call, "sent a chunk for a call that has ended");
        };
        let error = match (&waiting.receiver, waiting.credit, parts) {
            (Receiver::Nobody { .. }, ..) => return,
            (Receiver::One(_), ..) => violated("sent a chunk in answer to a call that is no stream"),
            (Receiver::Many(_), 0, _) => violated("sent a chunk without credit"),
            (Receiver::Many(_), _, Err(error)) => error,
            (Receiver::Many(items), _, chunk) => {
                waiting.credit -= 1;
                // A send that fails means that the caller is about to abandon the call.
                let _ = items.send(chunk);
                return;
            }
        };
        // Whoever drops the call tells the plugin to end it.
        let receiver = std::mem::replace(&mut waiting.receiver, Receiver::Nobody { told: false, undo: None });
        drop(calls);
        receiver.end(Err(error));
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        let level = match level {
            1 => Level::Error,
            2 => Level::Warn,
            3 => Level::Info,
            _ => Level::Debug,
        };
        let json = json.filter(|json| check_size(json).is_ok()).unwrap_or_default();
        match serde_json::from_slice(json) {
            Ok(event) => (self.listener)(call, level, event),
            Err(_unreadable) => self.fault(call, "sent an event that cannot be read"),
        }
    }
}

impl Receiver {
    /// Nobody, and the plugin knows.
    pub(super) const NOBODY: Self = Self::Nobody { told: true, undo: None };

    /// Hands over the last item; false where nobody was waiting.
    fn end(self, parts: Result<Parts>) -> bool {
        match self {
            Self::Nobody { .. } => false,
            // The caller may have gone in this very moment, and then needs no answer.
            Self::One(answer) => answer.send(parts).is_ok(),
            Self::Many(items) => match parts {
                Ok(parts) if parts.status == STATUS_OK => true,
                failed => items.send(failed).is_ok(),
            },
        }
    }
}

impl Parts {
    /// Copies what the plugin lent; a faulty slice, or one that is too large, is the caller's error.
    fn copy(status: u32, lent: Lent<'_>) -> Result<Self> {
        let (Some(head), Some(body)) = (lent.head, lent.body) else {
            return Err(violated("sent a slice that is NULL but not empty"));
        };
        check_size(head)?;
        check_size(body)?;
        Ok(Self { status, head: head.to_vec(), body: body.to_vec() })
    }

    /// Whether the plugin says that the call succeeded.
    pub(super) fn is_ok(&self) -> bool {
        self.status == STATUS_OK
    }

    /// Reads the parts as a payload, or as the error that they carry.
    pub(super) fn read(self) -> Result<Payload> {
        match self.status {
            STATUS_OK if self.head.is_empty() => Ok(Payload::new(JSON, self.body)),
            STATUS_OK => match serde_json::from_slice::<ReplyHead<'_>>(&self.head) {
                Ok(head) => Ok(Payload::new(head.content_type.unwrap_or(JSON.into()), self.body)),
                Err(error) => Err(violated(&format!("replied with a head that cannot be read: {error}"))),
            },
            STATUS_ERROR => Err(serde_json::from_slice(&self.body)
                .unwrap_or_else(|error| violated(&format!("replied with an error that cannot be read: {error}")))),
            status => Err(violated(&format!("replied with status {status}, which has no meaning"))),
        }
    }
}

fn violated(what: &str) -> Error {
    Error::new(ErrorCode::PLUGIN_PROTOCOL_VIOLATION, format!("the plugin broke the contract: it {what}"))
}
