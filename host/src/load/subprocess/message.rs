//! What a host and a plugin's process say to each other: the calls of the table, one message each.
//!
//! A message is a head of 40 bytes and up to two parts. Numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 4 | the kind |
//! | 4 to 8 | a number: credit, chunks, status, level, the version of this protocol |
//! | 8 to 16 | the call |
//! | 16 to 24 | the client |
//! | 24 to 32 | what is left of the deadline in milliseconds; the slots that the plugin has, a bit for each |
//! | 32 to 36 | how long the first part is; `ffffffff` where the plugin lent what is no slice |
//! | 36 to 40 | how long the second part is, likewise |
//!
//! Both sides are of one version, which the first message makes sure of: what is not known is malformed.

use mlflow_deploy_plugin_api::ffi::{BorrowedReply, MAX_MESSAGE_BYTES, Request, Slot, check_size};
use mlflow_deploy_plugin_api::{Error, Operation};

/// The version of this protocol. It has nothing to do with the table's: the program that hosts a plugin comes with
/// the library that starts it.
pub(crate) const PROTOCOL: u32 = 1;

/// How long a message's head is.
pub(crate) const HEAD: usize = 40;

/// The length of a part that is no slice.
const NO_SLICE: u32 = u32::MAX;

/// One message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// To the plugin: gives a call up.
    Cancel { call: u64 },
    /// To the host: one chunk of a stream.
    Chunk { call: u64, lent: BorrowedReply<'a> },
    /// To the plugin: begins a call.
    Call { slot: Slot, client: u64, call: u64, request: Request<'a> },
    /// To the plugin: ends a client.
    Close { client: u64 },
    /// To the plugin: allows a stream more chunks.
    Credit { call: u64, chunks: u32 },
    /// To the host: what the plugin says beside its replies.
    Event { call: u64, level: u32, json: Option<&'a [u8]> },
    /// To the host, the very first: this is a program that hosts plugins, before it loads any.
    Hello { protocol: u32 },
    /// To the host, the second: the plugin has been loaded and started.
    Loaded { slots: u64 },
    /// To the plugin's process: is anybody there?
    Ping,
    /// To the host: whoever enters the plugin's slots is not stuck in one.
    Pong,
    /// To the host, the second instead: why the library cannot be used, as JSON.
    Refused { refusal: &'a [u8] },
    /// To the host: ends a call.
    Reply { call: u64, status: u32, lent: BorrowedReply<'a> },
}

/// A message that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// Where a plugin is entered, each with its bit in [`Message::Loaded`]. New ones come last.
pub(super) fn slots() -> impl Iterator<Item = Slot> {
    let of_plugin = [Slot::Open, Slot::Shutdown, Slot::TargetHelp, Slot::RunLocal];
    of_plugin.into_iter().chain(Operation::ALL.iter().copied().map(Slot::Operation))
}

/// A slot's place among all, and so its bit.
pub(crate) fn number(slot: Slot) -> u32 {
    let place = slots().position(|each| each == slot);
    // A slot that is not in the list is one that no plugin can have.
    place.and_then(|place| u32::try_from(place).ok()).unwrap_or(63)
}

/// The bits of those slots that `has` says are there.
pub(crate) fn bits(has: impl Fn(Slot) -> bool) -> u64 {
    slots().filter(|slot| has(*slot)).fold(0, |bits, slot| bits | 1 << number(slot))
}

impl<'a> Message<'a> {
    /// The head, and the two parts that follow it.
    pub(crate) fn parts(&self) -> ([u8; HEAD], &'a [u8], &'a [u8]) {
        let none = BorrowedReply { head: Some(&[]), body: Some(&[]) };
        let body = |body| BorrowedReply { head: Some(&[]), body };
        let (kind, word, call, client, long, lent) = match *self {
            Self::Call { slot, client, call, request } => {
                let lent = BorrowedReply { head: Some(request.head), body: Some(request.body) };
                (0x100 | number(slot), request.credit, call, client, request.timeout_ms, lent)
            }
            Self::Cancel { call } => (1, 0, call, 0, 0, none),
            Self::Close { client } => (2, 0, 0, client, 0, none),
            Self::Credit { call, chunks } => (3, chunks, call, 0, 0, none),
            Self::Ping => (4, 0, 0, 0, 0, none),
            Self::Hello { protocol } => (16, protocol, 0, 0, 0, none),
            Self::Loaded { slots } => (17, 0, 0, 0, slots, none),
            Self::Refused { refusal } => (18, 0, 0, 0, 0, body(Some(refusal))),
            Self::Reply { call, status, lent } => (19, status, call, 0, 0, lent),
            Self::Chunk { call, lent } => (20, 0, call, 0, 0, lent),
            Self::Event { call, level, json } => (21, level, call, 0, 0, body(json)),
            Self::Pong => (22, 0, 0, 0, 0, none),
        };
        let length = |part: Option<&[u8]>| part.map_or(NO_SLICE, |part| u32::try_from(part.len()).unwrap_or(NO_SLICE));
        let mut head = [0; HEAD];
        head[0..4].copy_from_slice(&u32::to_le_bytes(kind));
        head[4..8].copy_from_slice(&u32::to_le_bytes(word));
        head[8..16].copy_from_slice(&u64::to_le_bytes(call));
        head[16..24].copy_from_slice(&u64::to_le_bytes(client));
        head[24..32].copy_from_slice(&u64::to_le_bytes(long));
        head[32..36].copy_from_slice(&u32::to_le_bytes(length(lent.head)));
        head[36..40].copy_from_slice(&u32::to_le_bytes(length(lent.body)));
        (head, lent.head.unwrap_or_default(), lent.body.unwrap_or_default())
    }

    /// Refuses what is larger than may be sent, with the error for its caller.
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        let (_, head, body) = self.parts();
        check_size(head).and_then(|()| check_size(body))
    }

    /// How long the message is that begins with these bytes, head and parts; `None` where the head is not whole yet.
    pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if bytes.len() < HEAD {
            return Ok(None);
        }
        Ok(Some(HEAD + part_length(bytes, 32)?.unwrap_or(0) + part_length(bytes, 36)?.unwrap_or(0)))
    }

    /// Reads one whole message.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (first, second) = (part_length(bytes, 32)?, part_length(bytes, 36)?);
        let split = HEAD + first.unwrap_or(0);
        let lent = BorrowedReply { head: first.map(|_| &bytes[HEAD..split]), body: second.map(|_| &bytes[split..]) };
        let (kind, word) = (u32_at(bytes, 0), u32_at(bytes, 4));
        let (call, client, long) = (u64_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24));
        let message = match kind {
            1 => Self::Cancel { call },
            2 => Self::Close { client },
            3 => Self::Credit { call, chunks: word },
            4 => Self::Ping,
            16 => Self::Hello { protocol: word },
            17 => Self::Loaded { slots: long },
            18 => Self::Refused { refusal: lent.body.unwrap_or_default() },
            19 => Self::Reply { call, status: word, lent },
            20 => Self::Chunk { call, lent },
            21 => Self::Event { call, level: word, json: lent.body },
            22 => Self::Pong,
            call_of if call_of & !0xff == 0x100 => {
                let unknown = || Malformed(format!("it calls slot {}, which there is none of", call_of & 0xff));
                let slot = slots().nth(usize::try_from(call_of & 0xff).unwrap_or(usize::MAX)).ok_or_else(unknown)?;
                let (head, body) = (lent.head.unwrap_or_default(), lent.body.unwrap_or_default());
                Self::Call { slot, client, call, request: Request { credit: word, timeout_ms: long, head, body } }
            }
            other => return Err(Malformed(format!("it is of the kind {other}, which is not known"))),
        };
        if message.parts().0 != bytes[..HEAD] {
            return Err(Malformed(format!("it is of the kind {kind}, and says what that kind does not say")));
        }
        Ok(message)
    }
}

/// An error as it crosses the boundary.
pub(crate) fn to_json(error: &Error) -> Vec<u8> {
    serde_json::to_vec(error).expect("an error holds only strings, numbers and JSON")
}

/// How long the part is whose length stands there; `None` where it is no slice.
fn part_length(bytes: &[u8], at: usize) -> Result<Option<usize>, Malformed> {
    match u32_at(bytes, at) {
        NO_SLICE => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) if length <= MAX_MESSAGE_BYTES => Ok(Some(length)),
            _ => Err(Malformed(format!("a part of it is {length} bytes long, and {MAX_MESSAGE_BYTES} is the most"))),
        },
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
