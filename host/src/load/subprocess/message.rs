//! The messages between a host and the process of a plugin. Each call of a function in the plugin's table is one
//! message, and so is each callback to the host.
//!
//! `plugin-api/WIRE.md` specifies the messages. The only addition is for libraries: the length `ffffffff` of a part marks
//! an invalid slice, one with a null pointer and a length.

use mlflow_deploy_plugin_api::ffi::{BorrowedReply, MAX_MESSAGE_BYTES, Request, Slot, check_size};
use mlflow_deploy_plugin_api::{Error, Operation};

/// The only version of the wire protocol that this host speaks.
pub(crate) const PROTOCOL: u32 = 1;

/// The length of the head of a message, in bytes.
pub(crate) const HEAD: usize = 40;

/// The length that marks an invalid slice, one with a null pointer and a length.
const INVALID_SLICE: u32 = u32::MAX;

/// One message between the host and the process of a plugin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// To the plugin: cancels a call.
    Cancel { call: u64 },
    /// To the host: one chunk of a stream.
    Chunk { call: u64, chunk: BorrowedReply<'a> },
    /// To the plugin: calls the function `slot` of the plugin.
    Call { slot: Slot, client: u64, call: u64, request: Request<'a> },
    /// To the plugin: closes a client.
    Close { client: u64 },
    /// To the plugin: allows a stream to send more chunks.
    Credit { call: u64, chunks: u32 },
    /// To the host: an event of the plugin.
    Event { call: u64, level: u32, json: Option<&'a [u8]> },
    /// To the host, as the first message: the versions of the protocol that the process speaks.
    Hello { newest: u32, oldest: u64 },
    /// To the host, as the second message: the plugin is loaded and started.
    Loaded { slots: u64 },
    /// To the plugin's process: asks for a `Pong`.
    Ping,
    /// To the host: the reply to a `Ping`. The thread that calls the plugin's functions is not blocked.
    Pong,
    /// To the host, instead of `Loaded`: the reason why the plugin was not loaded, in JSON.
    LoadFailed { error: &'a [u8] },
    /// To the plugin's process, in answer to `Hello`: the version that both sides use from now on.
    Version { protocol: u32 },
    /// To the host: the reply that ends a call.
    Reply { call: u64, status: u32, reply: BorrowedReply<'a> },
}

/// The reason why a sequence of bytes is not a valid message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// Returns all functions (slots) that a plugin can have, in the order of their bits in [`Message::Loaded`]. A new slot
/// must be added at the end.
pub(super) fn slots() -> impl Iterator<Item = Slot> {
    let of_plugin = [Slot::Open, Slot::Shutdown, Slot::TargetHelp, Slot::RunLocal];
    of_plugin.into_iter().chain(Operation::ALL.iter().copied().map(Slot::Operation))
}

/// Returns the number of the bit that stands for `slot` in [`Message::Loaded`].
pub(crate) fn number(slot: Slot) -> u32 {
    let index = slots().position(|each| each == slot);
    // Bit 63 stands for a slot that is not listed. No plugin has such a slot.
    index.and_then(|index| u32::try_from(index).ok()).unwrap_or(63)
}

/// Returns a bit set with the bits of all slots for which `has` returns true.
pub(crate) fn bits(has: impl Fn(Slot) -> bool) -> u64 {
    slots().filter(|slot| has(*slot)).fold(0, |bits, slot| bits | 1 << number(slot))
}

impl<'a> Message<'a> {
    /// Returns the head of the message and the two parts that follow the head.
    pub(crate) fn parts(&self) -> ([u8; HEAD], &'a [u8], &'a [u8]) {
        let none = BorrowedReply { head: Some(&[]), body: Some(&[]) };
        let body = |body| BorrowedReply { head: Some(&[]), body };
        let (kind, word, call, client, long, parts) = match *self {
            Self::Call { slot, client, call, request } => {
                let parts = BorrowedReply { head: Some(request.head), body: Some(request.body) };
                (0x100 | number(slot), request.credit, call, client, request.timeout_ms, parts)
            }
            Self::Cancel { call } => (1, 0, call, 0, 0, none),
            Self::Close { client } => (2, 0, 0, client, 0, none),
            Self::Credit { call, chunks } => (3, chunks, call, 0, 0, none),
            Self::Ping => (4, 0, 0, 0, 0, none),
            Self::Version { protocol } => (5, protocol, 0, 0, 0, none),
            Self::Hello { newest, oldest } => (16, newest, oldest, 0, 0, none),
            Self::Loaded { slots } => (17, 0, 0, 0, slots, none),
            Self::LoadFailed { error } => (18, 0, 0, 0, 0, body(Some(error))),
            Self::Reply { call, status, reply } => (19, status, call, 0, 0, reply),
            Self::Chunk { call, chunk } => (20, 0, call, 0, 0, chunk),
            Self::Event { call, level, json } => (21, level, call, 0, 0, body(json)),
            Self::Pong => (22, 0, 0, 0, 0, none),
        };
        let length =
            |part: Option<&[u8]>| part.map_or(INVALID_SLICE, |part| u32::try_from(part.len()).unwrap_or(INVALID_SLICE));
        let mut head = [0; HEAD];
        head[0..4].copy_from_slice(&u32::to_le_bytes(kind));
        head[4..8].copy_from_slice(&u32::to_le_bytes(word));
        head[8..16].copy_from_slice(&u64::to_le_bytes(call));
        head[16..24].copy_from_slice(&u64::to_le_bytes(client));
        head[24..32].copy_from_slice(&u64::to_le_bytes(long));
        head[32..36].copy_from_slice(&u32::to_le_bytes(length(parts.head)));
        head[36..40].copy_from_slice(&u32::to_le_bytes(length(parts.body)));
        (head, parts.head.unwrap_or_default(), parts.body.unwrap_or_default())
    }

    /// Fails if a part of the message is too large to be sent. Returns the error for the caller of the operation.
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        let (_, head, body) = self.parts();
        check_size(head).and_then(|()| check_size(body))
    }

    /// Returns the length in bytes of the message that starts with these bytes, or `None` if the head is incomplete.
    pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if bytes.len() < HEAD {
            return Ok(None);
        }
        Ok(Some(HEAD + part_length(bytes, 32)?.unwrap_or(0) + part_length(bytes, 36)?.unwrap_or(0)))
    }

    /// Reads a complete message from its bytes.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (first, second) = (part_length(bytes, 32)?, part_length(bytes, 36)?);
        let split = HEAD + first.unwrap_or(0);
        let parts = BorrowedReply { head: first.map(|_| &bytes[HEAD..split]), body: second.map(|_| &bytes[split..]) };
        let (kind, word) = (u32_at(bytes, 0), u32_at(bytes, 4));
        let (call, client, long) = (u64_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24));
        let message = match kind {
            1 => Self::Cancel { call },
            2 => Self::Close { client },
            3 => Self::Credit { call, chunks: word },
            4 => Self::Ping,
            5 => Self::Version { protocol: word },
            16 => Self::Hello { newest: word, oldest: call },
            17 => Self::Loaded { slots: long },
            18 => Self::LoadFailed { error: parts.body.unwrap_or_default() },
            19 => Self::Reply { call, status: word, reply: parts },
            20 => Self::Chunk { call, chunk: parts },
            21 => Self::Event { call, level: word, json: parts.body },
            22 => Self::Pong,
            call_kind if call_kind & !0xff == 0x100 => {
                let unknown = || Malformed(format!("unknown slot {}", call_kind & 0xff));
                let slot = slots().nth(usize::try_from(call_kind & 0xff).unwrap_or(usize::MAX)).ok_or_else(unknown)?;
                let (head, body) = (parts.head.unwrap_or_default(), parts.body.unwrap_or_default());
                Self::Call { slot, client, call, request: Request { credit: word, timeout_ms: long, head, body } }
            }
            other => return Err(Malformed(format!("unknown message kind {other}"))),
        };
        if message.parts().0 != bytes[..HEAD] {
            return Err(Malformed(format!("a message of kind {kind} sets a field that this kind does not have")));
        }
        Ok(message)
    }
}

/// Serializes an error to the JSON that is sent between the host and the plugin.
pub(crate) fn to_json(error: &Error) -> Vec<u8> {
    serde_json::to_vec(error).expect("an error holds only strings, numbers and JSON")
}

/// Reads the length of a part, which is stored at the offset `at`. Returns `None` if the length marks an invalid slice.
fn part_length(bytes: &[u8], at: usize) -> Result<Option<usize>, Malformed> {
    match u32_at(bytes, at) {
        INVALID_SLICE => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) if length <= MAX_MESSAGE_BYTES => Ok(Some(length)),
            _ => Err(Malformed(format!("a part has {length} bytes: the limit is {MAX_MESSAGE_BYTES}"))),
        },
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
