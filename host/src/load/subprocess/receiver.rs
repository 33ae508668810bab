//! Puts messages together from the bytes of a socket.
//!
//! A length that a message claims is believed only as far as its bytes have come: nothing is set aside for a liar.

use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::message::{Malformed, Message};

/// How much is read at once.
const ONCE: usize = 64 * 1024;

/// How much more is read at once of a message that is longer.
const MORE: usize = 1024 * 1024;

/// The receiving half of a connection.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    bytes: Vec<u8>,
    /// Where the next message begins.
    next: usize,
}

impl Receiver {
    /// Reads once; gives how many bytes came, 0 at the end.
    pub(crate) fn receive(&mut self, socket: impl AsFd, flags: RecvFlags) -> Result<usize, Errno> {
        if self.next == self.bytes.len() {
            self.bytes.clear();
            // What one long message took is not held for the short ones after it.
            self.bytes.shrink_to(ONCE);
        } else {
            self.bytes.drain(..self.next);
        }
        self.next = 0;
        let missing = Message::length(&self.bytes).ok().flatten().map_or(0, |length| length - self.bytes.len());
        self.bytes.reserve(missing.clamp(ONCE, MORE));
        loop {
            match recv(&socket, spare_capacity(&mut self.bytes), flags) {
                Err(Errno::INTR) => {}
                received => return received.map(|(_, count)| count),
            }
        }
    }

    /// The next message that has come whole.
    pub(crate) fn next(&mut self) -> Result<Option<Message<'_>>, Malformed> {
        let begun = &self.bytes[self.next..];
        let Some(length) = Message::length(begun)? else { return Ok(None) };
        let Some(whole) = begun.get(..length) else { return Ok(None) };
        self.next += length;
        Message::read(whole).map(Some)
    }
}
