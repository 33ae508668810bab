//! Reads bytes from a socket and assembles messages from them.
//!
//! Allocates memory as bytes arrive, because a damaged message can claim a length that it does not have.

use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::message::{Malformed, Message};

/// The minimum size of the buffer for one read, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// The maximum size of the buffer for one read, in bytes. A read of a long message uses it.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// The receiving half of the connection between a host and a plugin's process.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    bytes: Vec<u8>,
    /// The index in `bytes` at which the next message starts.
    next: usize,
}

impl Receiver {
    /// Reads from the socket once. No complete message may be left from an earlier read. Returns the number of bytes, which is 0 at the end of the stream.
    pub(crate) fn receive(&mut self, socket: impl AsFd, flags: RecvFlags) -> Result<usize, Errno> {
        if self.next == self.bytes.len() {
            self.bytes.clear();
            // Frees the memory of a long message.
            self.bytes.shrink_to(READ_BYTES);
        } else {
            self.bytes.drain(..self.next);
        }
        self.next = 0;
        let missing = Message::length(&self.bytes).ok().flatten().map_or(0, |length| length - self.bytes.len());
        self.bytes.reserve(missing.clamp(READ_BYTES, MAX_READ_BYTES));
        loop {
            match recv(&socket, spare_capacity(&mut self.bytes), flags) {
                Err(Errno::INTR) => {}
                received => return received.map(|(_, count)| count),
            }
        }
    }

    /// Returns true if [`next`](Self::next) returns a message, or an error, without another read.
    pub(crate) fn has_message(&self) -> bool {
        let rest = &self.bytes[self.next..];
        Message::length(rest).map_or(true, |length| length.is_some_and(|length| rest.len() >= length))
    }

    /// Returns the next complete message; `None` if no complete message has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Message<'_>>, Malformed> {
        let rest = &self.bytes[self.next..];
        let Some(length) = Message::length(rest)? else { return Ok(None) };
        let Some(whole) = rest.get(..length) else { return Ok(None) };
        self.next += length;
        Message::read(whole).map(Some)
    }
}
