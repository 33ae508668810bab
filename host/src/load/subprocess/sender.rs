//! Sends messages without ever waiting for their reader.
//!
//! A message goes into the socket at once where there is room. What does not fit is kept, and a thread that lives as
//! long as something is kept waits in the place of whoever sends.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::message::Message;

/// The sending half of a connection. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: UnixStream,
    kept: Mutex<Kept>,
}

/// What did not fit into the socket.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Whether a thread is at work on it: then all that is sent comes after.
    is_written: bool,
    /// Whether the other side has gone.
    is_closed: bool,
}

impl Sender {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self(Arc::new(Shared { socket, kept: Mutex::default() }))
    }

    /// Sends a message. Whether the other side still reads it is not known, and noticed by whoever reads from it.
    pub(crate) fn send(&self, message: &Message<'_>) {
        let (head, first, second) = message.parts();
        let mut kept = self.0.lock();
        if kept.is_closed {
            return;
        }
        let sent = if kept.is_written { 0 } else { self.0.send_now(&mut kept, &[&head, first, second]) };
        if kept.is_closed || sent == head.len() + first.len() + second.len() {
            return;
        }
        let mut skip = sent;
        for part in [&head, first, second] {
            kept.bytes.extend_from_slice(&part[skip.min(part.len())..]);
            skip = skip.saturating_sub(part.len());
        }
        if !kept.is_written {
            kept.is_written = true;
            drop(kept);
            let shared = Arc::clone(&self.0);
            let writer = thread::Builder::new().name("mlflow-deploy-send".to_owned());
            if writer.spawn(move || shared.write_kept()).is_err() {
                // With half a message on its way there is nothing left to be said.
                self.0.give_up();
            }
        }
    }

    /// How many bytes wait for their reader.
    pub(crate) fn backlog(&self) -> usize {
        self.0.lock().bytes.len()
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        // The other side may have gone already.
        let _ = self.0.socket.shutdown(Shutdown::Write);
    }
}

impl Shared {
    /// Puts into the socket what there is room for; gives how many bytes that was.
    fn send_now(&self, kept: &mut Kept, parts: &[&[u8]; 3]) -> usize {
        #[cfg(target_vendor = "apple")]
        const QUIETLY: SendFlags = SendFlags::empty();
        #[cfg(not(target_vendor = "apple"))]
        const QUIETLY: SendFlags = SendFlags::NOSIGNAL;
        let slices = parts.map(IoSlice::new);
        loop {
            let flags = SendFlags::DONTWAIT.union(QUIETLY);
            match sendmsg(&self.socket, &slices, &mut SendAncillaryBuffer::default(), flags) {
                Ok(sent) => return sent,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => return 0,
                Err(_gone) => {
                    kept.is_closed = true;
                    return 0;
                }
            }
        }
    }

    /// Writes what is kept, and waits for its reader, until nothing is left.
    fn write_kept(&self) {
        loop {
            let mut kept = self.lock();
            let bytes = std::mem::take(&mut kept.bytes);
            if bytes.is_empty() {
                kept.is_written = false;
                return;
            }
            drop(kept);
            if write_all(&self.socket, &bytes).is_err() {
                return self.give_up();
            }
        }
    }

    fn give_up(&self) {
        let mut kept = self.lock();
        *kept = Kept { is_closed: true, ..Kept::default() };
        // Whoever reads is to notice.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_all(mut socket: &UnixStream, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes)
}
