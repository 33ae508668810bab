//! Sends messages without waiting for the other side to read them.
//!
//! A message is written to the socket at once as far as it fits. The rest goes into a buffer, from which a thread
//! writes it.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;

use mlflow_deploy_plugin_api::sync;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::message::Message;

/// The sending half of the connection between a host and a plugin's process. Clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Arc<SenderState>);

#[derive(Debug)]
struct SenderState {
    socket: UnixStream,
    buffer: Mutex<Buffer>,
}

/// The bytes that do not fit into the socket yet.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// True while a thread writes the buffer to the socket. New messages must then be appended to the buffer.
    has_writer: bool,
    /// True if the other side has closed the connection.
    is_closed: bool,
}

impl Sender {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self(Arc::new(SenderState { socket, buffer: Mutex::default() }))
    }

    /// Sends a message without waiting. Does not report a closed connection, because the receiving half reports it.
    pub(crate) fn send(&self, message: &Message<'_>) {
        let (head, first, second) = message.parts();
        let mut buffer = sync::lock(&self.0.buffer);
        if buffer.is_closed {
            return;
        }
        let sent = if buffer.has_writer { 0 } else { self.0.send_now(&mut buffer, &[&head, first, second]) };
        if buffer.is_closed || sent == head.len() + first.len() + second.len() {
            return;
        }
        let mut skip = sent;
        for part in [&head, first, second] {
            buffer.bytes.extend_from_slice(&part[skip.min(part.len())..]);
            skip = skip.saturating_sub(part.len());
        }
        if !buffer.has_writer {
            buffer.has_writer = true;
            drop(buffer);
            let state = Arc::clone(&self.0);
            let writer = thread::Builder::new().name("mlflow-deploy-send".to_owned());
            if writer.spawn(move || state.write_buffer()).is_err() {
                // A part of the message may have been sent, so the connection can no longer be used.
                self.0.give_up();
            }
        }
    }

    /// Returns the number of bytes in the buffer that are not sent yet.
    pub(crate) fn backlog(&self) -> usize {
        sync::lock(&self.0.buffer).bytes.len()
    }

    /// Shuts down the sending half of the socket.
    pub(crate) fn finish(&self) {
        // Fails if the other side has closed the connection.
        let _ = self.0.socket.shutdown(Shutdown::Write);
    }
}

impl SenderState {
    /// Writes as many bytes to the socket as fit, without waiting. Returns the number of written bytes.
    fn send_now(&self, buffer: &mut Buffer, parts: &[&[u8]; 3]) -> usize {
        #[cfg(target_vendor = "apple")]
        const NO_SIGNAL: SendFlags = SendFlags::empty();
        #[cfg(not(target_vendor = "apple"))]
        const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
        let slices = parts.map(IoSlice::new);
        loop {
            let flags = SendFlags::DONTWAIT.union(NO_SIGNAL);
            match sendmsg(&self.socket, &slices, &mut SendAncillaryBuffer::default(), flags) {
                Ok(sent) => return sent,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => return 0,
                Err(_gone) => {
                    buffer.is_closed = true;
                    return 0;
                }
            }
        }
    }

    /// Writes the buffer to the socket until it is empty. Waits for the other side to read.
    fn write_buffer(&self) {
        loop {
            let mut buffer = sync::lock(&self.buffer);
            let bytes = std::mem::take(&mut buffer.bytes);
            if bytes.is_empty() {
                buffer.has_writer = false;
                return;
            }
            drop(buffer);
            if write_all(&self.socket, &bytes).is_err() {
                return self.give_up();
            }
        }
    }

    fn give_up(&self) {
        let mut buffer = sync::lock(&self.buffer);
        *buffer = Buffer { is_closed: true, ..Buffer::default() };
        // The receiver of this connection notices this.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn write_all(mut socket: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes)
}
