//! A running plugin instance on the host's side, and its calls that have no reply yet.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::pending::{Pending, Receiver, Waiting, violated, violation};
use super::transport::{PluginTransport, Request, Slot};
use crate::{Error, ErrorCode, Operation, Result};

/// Returns a new id for a client or a call. An id is never zero, and is never returned twice in a process.
pub(super) fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A running plugin instance on the host's side, shared by its handles, clients and calls.
pub(super) struct RemoteInstance {
    pub(super) plugin: Box<dyn PluginTransport>,
    pub(super) pending: Arc<Pending>,
    pub(super) is_shut_down: AtomicBool,
    /// The operations that the plugin's manifest lists, if the host has set them.
    pub(super) declared: OnceLock<Vec<String>>,
}

/// Shuts the instance down, so that its threads end. This happens when the last handle, client and call of the instance
/// are dropped.
impl Drop for RemoteInstance {
    fn drop(&mut self) {
        if !*self.is_shut_down.get_mut() && self.plugin.has(Slot::Shutdown) {
            let call = next_id();
            self.pending.insert(call, Waiting { client: 0, credit: 0, receiver: Receiver::CANCELLED });
            self.plugin.call(Slot::Shutdown, 0, call, &Request::default());
        }
    }
}

impl RemoteInstance {
    /// Returns the names of the operations that the plugin supports, as in MLflow. Includes `target_help` and
    /// `run_local`.
    pub(super) fn supported(&self) -> Vec<&'static str> {
        let slots = Operation::ALL.iter().copied().map(Slot::Operation).chain([Slot::TargetHelp, Slot::RunLocal]);
        slots.filter(|slot| self.plugin.has(*slot)).map(Slot::name).collect()
    }

    fn unsupported(&self, slot: Slot) -> Error {
        let (operation, supported) = (slot.name(), self.supported());
        if self.declared.get().is_some_and(|declared| declared.iter().any(|declared| declared == operation)) {
            return violation(&format!("its manifest lists `{operation}`, but its table has no function for it"));
        }
        let message = match supported.join("`, `") {
            none if none.is_empty() => format!("the target does not support `{operation}`"),
            supported => format!("the target does not support `{operation}`, only `{supported}`"),
        };
        let error = Error::new(ErrorCode::NOT_IMPLEMENTED, message);
        error.with_detail("operation", operation).with_detail("supported", supported)
    }

    /// Registers a call and starts it.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the plugin has no function for `slot`. `PLUGIN_PROTOCOL_VIOLATION` if the plugin's manifest
    /// lists that operation nevertheless.
    pub(super) fn enter(
        self: &Arc<Self>,
        slot: Slot,
        caller: Caller,
        receiver: Receiver,
        request: &Request<'_>,
    ) -> Result<InFlight> {
        if !self.plugin.has(slot) {
            return Err(self.unsupported(slot));
        }
        let (id, client) = (next_id(), caller.client());
        self.pending.insert(id, Waiting { client, credit: request.credit, receiver });
        let call = InFlight { instance: Arc::clone(self), id, caller, has_ended: false };
        self.plugin.call(slot, client, id, request);
        Ok(call)
    }

    /// Cancels all calls of a client. The callers get the error `CANCELLED`.
    pub(super) fn cancel_client(&self, client: u64) {
        let closed = Error::new(ErrorCode::CANCELLED, "the client was closed");
        for call in self.pending.abandon_client(client, &closed) {
            self.plugin.cancel(call);
        }
    }
}

/// An open client, shared by its handles and its calls. The client is closed when the last of them is dropped.
/// Therefore, a client is never closed before its last call has ended.
pub(super) struct OpenClient {
    pub(super) instance: Arc<RemoteInstance>,
    pub(super) id: u64,
}

impl Drop for OpenClient {
    fn drop(&mut self) {
        self.instance.plugin.close(self.id);
    }
}

/// The client that a call belongs to, if any.
pub(super) enum Caller {
    /// An open client. It stays open until the call has ended.
    Client(Arc<OpenClient>),
    /// The id of the client that the call opens.
    Opening(u64),
    /// No client: the call belongs to the plugin itself.
    Plugin,
}

impl Caller {
    /// Returns the id of the client that the call belongs to; 0 for a call of the plugin itself.
    fn client(&self) -> u64 {
        match self {
            Self::Client(open) => open.id,
            Self::Opening(client) => *client,
            Self::Plugin => 0,
        }
    }
}

/// A started call. Dropping this value before the call has ended cancels the call.
pub(super) struct InFlight {
    pub(super) instance: Arc<RemoteInstance>,
    id: u64,
    pub(super) caller: Caller,
    has_ended: bool,
}

impl InFlight {
    /// Allows the plugin to send `chunks` more chunks of the stream.
    pub(super) fn grant(&self, chunks: u32) {
        if self.instance.pending.grant(self.id, chunks) {
            self.instance.plugin.credit(self.id, chunks);
        }
    }

    /// Reports a violation of the contract in the reply of the call as an event, and returns it as an error.
    pub(super) fn violated(&self, predicate: &str) -> Error {
        self.instance.pending.report_violation(self.id, predicate);
        violated(predicate)
    }

    /// Cancels the call. The caller still waits for the reply.
    pub(super) fn cancel(&self) {
        self.instance.plugin.cancel(self.id);
    }

    /// Notes that the caller has the reply, so that nothing has to be cancelled.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Cancels the call, and discards the reply that the plugin sends later. Does nothing if the call has ended.
    pub(super) fn abandon(&mut self) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        // If the client opens nevertheless, it is closed when the reply arrives.
        let undo = match self.caller {
            Caller::Opening(client) => {
                let instance = Arc::clone(&self.instance);
                let close: Box<dyn FnOnce() + Send> = Box::new(move || instance.plugin.close(client));
                Some(close)
            }
            Caller::Client(_) | Caller::Plugin => None,
        };
        if self.instance.pending.abandon(self.id, undo) {
            self.instance.plugin.cancel(self.id);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "call {}", self.id)
    }
}
