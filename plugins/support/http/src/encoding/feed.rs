//! A reader of a response's received bytes, which never blocks.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, TryRecvError};

use bytes::{Buf, Bytes};

/// Reads the chunks of bytes in a channel. Fails with `WouldBlock` if the next chunk has not arrived yet. Ends after
/// the last chunk.
#[derive(Debug)]
pub(crate) struct Feed {
    chunks: Receiver<Bytes>,
    current: Bytes,
}

impl Feed {
    pub(crate) fn new(chunks: Receiver<Bytes>) -> Self {
        Self { chunks, current: Bytes::new() }
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.chunks.try_recv() {
                Ok(chunk) => self.current = chunk,
                Err(TryRecvError::Empty) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(TryRecvError::Disconnected) => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}
