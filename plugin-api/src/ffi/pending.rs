//! Tracks the unanswered calls of a plugin by their ids, and wakes the callers that wait for replies.
//!
//! A host callback copies the plugin's message, enqueues it and wakes the caller. It never runs code of the caller. A
//! violation of the contract by the plugin, such as a second reply or a chunk without credit, becomes an error of the
//! call, or an event if the call has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use foldhash::fast::RandomState;
use tokio::sync::{mpsc, oneshot};

use super::abi::{STATUS_ERROR, STATUS_OK};
use super::head::ReplyHead;
use super::transport::{BorrowedReply, HostCallbacks, check_size};
use crate::event::{Event, Level};
use crate::{Error, ErrorCode, JSON, Payload, Result, sync};

/// The listener for a plugin's events. Its arguments are the id of the call (0 for none), the severity, and the event.
pub(super) type EventListener = Arc<dyn Fn(u64, Level, Event) + Send + Sync>;

/// The maximum length of an event's message, in bytes. The rest of a longer message is dropped.
const MAX_EVENT_BYTES: usize = 1 << 16;

/// The calls of one plugin that have no reply yet.
pub(super) struct Pending {
    calls: Mutex<HashMap<u64, Waiting, RandomState>>,
    listener: EventListener,
}

/// A call that has no reply yet.
pub(super) struct Waiting {
    /// The id of the client that the call belongs to; 0 for a call of the plugin itself.
    pub(super) client: u64,
    /// The number of chunks that the plugin may still send.
    pub(super) credit: u32,
    pub(super) receiver: Receiver,
}

/// The place to which a call's reply and chunks are passed.
pub(super) enum Receiver {
    /// The caller no longer waits for the call, but the plugin has not replied yet.
    Abandoned {
        /// True if the plugin has been told to cancel the call, or is about to be told so.
        cancelled: bool,
        /// Closes the client that an abandoned `open` call has opened. It is called if that call succeeds nevertheless.
        undo: Option<Box<dyn FnOnce() + Send>>,
    },
    /// The caller of an operation that returns one reply and no chunks.
    One(oneshot::Sender<Result<Parts>>),
    /// The caller of an operation that sends chunks.
    Many(mpsc::UnboundedSender<Result<Parts>>),
}

/// The copied bytes of a reply or a chunk, not yet parsed. The caller parses them.
pub(super) struct Parts {
    status: u32,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Pending {
    pub(super) fn new(listener: EventListener) -> Self {
        Self { calls: Mutex::default(), listener }
    }

    pub(super) fn insert(&self, call: u64, waiting: Waiting) {
        self.lock().insert(call, waiting);
    }

    /// Allows the plugin to send `chunks` more chunks of a stream. Returns false if the call has ended or its caller no
    /// longer waits.
    pub(super) fn grant(&self, call: u64, chunks: u32) -> bool {
        match self.lock().get_mut(&call) {
            Some(waiting) => {
                waiting.credit = waiting.credit.saturating_add(chunks);
                matches!(waiting.receiver, Receiver::Many(_))
            }
            None => false,
        }
    }

    /// Marks a call as abandoned by its caller. `undo` is called if the call succeeds nevertheless. Returns true if the
    /// plugin must be told to cancel the call.
    pub(super) fn abandon(&self, call: u64, undo: Option<Box<dyn FnOnce() + Send>>) -> bool {
        let mut calls = self.lock();
        let Some(waiting) = calls.get_mut(&call) else { return false };
        let abandoned = Receiver::Abandoned { cancelled: true, undo };
        !matches!(std::mem::replace(&mut waiting.receiver, abandoned), Receiver::Abandoned { cancelled: true, .. })
    }

    /// Ends every call of a client with `error`. Returns the ids of the calls that the plugin must be told to cancel.
    pub(super) fn abandon_client(&self, client: u64, error: &Error) -> Vec<u64> {
        let mut ended = Vec::new();
        for (call, waiting) in self.lock().iter_mut().filter(|(_, waiting)| waiting.client == client) {
            ended.push((*call, std::mem::replace(&mut waiting.receiver, Receiver::CANCELLED)));
        }
        ended.into_iter().filter_map(|(call, receiver)| receiver.end(Err(error.clone())).then_some(call)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting, RandomState>> {
        sync::lock(&self.calls)
    }

    /// Reports a plugin's violation of the contract as an event.
    pub(super) fn report_violation(&self, call: u64, violation: &str) {
        let message = format!("the plugin broke the contract: it {violation} (call {call})");
        (self.listener)(call, Level::Error, Event { message, progress: None });
    }
}

impl HostCallbacks for Pending {
    fn reply(&self, call: u64, status: u32, lent: BorrowedReply<'_>) {
        let parts = Parts::copy(status, lent);
        let waiting = self.lock().remove(&call);
        match waiting {
            None => self.report_violation(call, "replied to a call that does not exist or was already answered"),
            Some(Waiting { receiver: Receiver::Abandoned { undo: Some(undo), .. }, .. }) => {
                if parts.is_ok_and(|parts| parts.is_ok()) {
                    undo();
                }
            }
            Some(waiting) => {
                waiting.receiver.end(parts);
            }
        }
    }

    fn chunk(&self, call: u64, lent: BorrowedReply<'_>) {
        let parts = Parts::copy(STATUS_OK, lent);
        let mut calls = self.lock();
        let Some(waiting) = calls.get_mut(&call) else {
            drop(calls);
            return self.report_violation(call, "sent a chunk for a call that has ended");
        };
        let error = match (&waiting.receiver, waiting.credit, parts) {
            (Receiver::Abandoned { .. }, ..) => return,
            (Receiver::One(_), ..) => violated("sent a chunk for a call that is not a stream"),
            (Receiver::Many(_), 0, _) => violated("sent a chunk without credit"),
            (Receiver::Many(_), _, Err(error)) => error,
            (Receiver::Many(items), _, chunk) => {
                waiting.credit -= 1;
                // The send fails if the caller is about to abandon the call.
                let _ = items.send(chunk);
                return;
            }
        };
        // The plugin is told to cancel the call when the caller drops it.
        let abandoned = Receiver::Abandoned { cancelled: false, undo: None };
        let receiver = std::mem::replace(&mut waiting.receiver, abandoned);
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
        match serde_json::from_slice::<Event>(json) {
            Ok(mut event) => {
                event.message.truncate(event.message.floor_char_boundary(MAX_EVENT_BYTES));
                (self.listener)(call, level, event);
            }
            Err(_unreadable) => self.report_violation(call, "sent an event that is not valid JSON"),
        }
    }
}

impl Receiver {
    /// The receiver of a call that the caller has abandoned and that the plugin has been told to cancel.
    pub(super) const CANCELLED: Self = Self::Abandoned { cancelled: true, undo: None };

    /// Passes the reply, or the error that ends the call, to the caller. Returns false if the caller no longer waits.
    fn end(self, parts: Result<Parts>) -> bool {
        match self {
            Self::Abandoned { .. } => false,
            // The send fails if the caller has just stopped waiting.
            Self::One(reply) => reply.send(parts).is_ok(),
            Self::Many(items) => match parts {
                Ok(parts) if parts.status == STATUS_OK => true,
                failed => items.send(failed).is_ok(),
            },
        }
    }
}

impl Parts {
    /// Copies the status and the slices of a plugin's reply or chunk. Fails if a slice is invalid or too large.
    fn copy(status: u32, lent: BorrowedReply<'_>) -> Result<Self> {
        let (Some(head), Some(body)) = (lent.head, lent.body) else {
            return Err(violated("sent a slice that is NULL but not empty"));
        };
        check_size(head)?;
        check_size(body)?;
        Ok(Self { status, head: head.to_vec(), body: body.to_vec() })
    }

    /// Returns true if the status says that the call succeeded.
    pub(super) fn is_ok(&self) -> bool {
        self.status == STATUS_OK
    }

    /// Returns the number of bytes of the body.
    pub(super) fn size(&self) -> usize {
        self.body.len()
    }

    /// Parses a reply or a chunk. Returns its payload, or the error in it.
    pub(super) fn read(self) -> Result<Payload> {
        match self.status {
            STATUS_OK if self.head.is_empty() => Ok(Payload::new(JSON, self.body)),
            STATUS_OK => match serde_json::from_slice::<ReplyHead<'_>>(&self.head) {
                Ok(head) => Ok(Payload::new(head.content_type.unwrap_or(JSON.into()), self.body)),
                Err(error) => Err(violated(&format!("replied with an invalid head: {error}"))),
            },
            STATUS_ERROR => Err(serde_json::from_slice(&self.body)
                .unwrap_or_else(|error| violated(&format!("replied with an invalid error: {error}")))),
            status => Err(violated(&format!("replied with the unknown status {status}"))),
        }
    }
}

/// Returns the error for a plugin that broke the contract. `predicate` describes the violation; its subject is the plugin.
pub(super) fn violated(predicate: &str) -> Error {
    violation(&format!("it {predicate}"))
}

/// Returns the error for a plugin that broke the contract. `sentence` describes the violation.
pub(super) fn violation(sentence: &str) -> Error {
    Error::new(ErrorCode::PLUGIN_PROTOCOL_VIOLATION, format!("the plugin broke the contract: {sentence}"))
}
