//! Reads bytes from a socket and assembles messages from them.
//!
//! Allocates memory as bytes arrive, because a damaged message can claim a length that it does not have.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::message::{Malformed, Message};
use super::spin::{Spin, has_one_processor};

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
    spin: Spin,
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

    /// Reads from the socket without sleeping, if data is likely to arrive soon. Returns `None` if the thread has to
    /// sleep until data arrives.
    pub(crate) fn receive_soon(&mut self, socket: impl AsFd) -> Option<Result<usize, Errno>> {
        if has_one_processor() || !self.spin.start(Instant::now()) {
            return None;
        }
        loop {
            match self.receive(&socket, RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => {}
                received => return Some(received),
            }
            thread::yield_now();
            if !self.spin.goes_on(Instant::now()) {
                return None;
            }
        }
    }

    /// Reads from the socket once, and waits until data arrives. Otherwise as [`receive`](Self::receive).
    pub(crate) fn wait(&mut self, socket: impl AsFd) -> Result<usize, Errno> {
        if let Some(received) = self.receive_soon(&socket) {
            return received;
        }
        let begun = Instant::now();
        let received = self.receive(&socket, RecvFlags::empty());
        self.slept(begun.elapsed());
        received
    }

    /// Notes that the thread has slept for this time until data arrived.
    pub(crate) fn slept(&mut self, time: Duration) {
        self.spin.slept(time);
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
