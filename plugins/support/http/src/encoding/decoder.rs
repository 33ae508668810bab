//! Decompresses a response that has one or more content codings. Returns the decompressed bytes in small parts, so that
//! a size limit holds even if few bytes decompress to many.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};

use brotli_decompressor::Decompressor;
use bytes::Bytes;
use mlflow_deploy_plugin_api::sync;

use super::coding::Coding;
use super::deflate::Deflate;
use super::feed::Feed;
use super::gzip::GzipReader;

/// The maximum size of one part of a decompressed body, in bytes.
const PART: usize = 32 * 1024;

/// The maximum window size of zstd in bytes, as a power of 2. RFC 9659 allows 8 MiB.
const MAX_ZSTD_WINDOW: u32 = 23;

/// Decompresses the body of one response.
pub(crate) struct Decoder {
    /// The sender of received bytes to the reader; `None` once the response has ended.
    input: Option<Sender<Bytes>>,
    reader: Mutex<Box<dyn Read + Send>>,
    name: String,
    has_input: bool,
}

/// The error for a body that cannot be decompressed as its `Content-Encoding` header says.
#[derive(Debug)]
pub(crate) struct DecodeError {
    /// The names of the content codings, such as `gzip`.
    pub(crate) name: String,
    pub(crate) error: io::Error,
}

impl Decoder {
    /// Creates a decoder for these content codings, in the order in which the server applied them. Returns `None` if
    /// there are none.
    pub(crate) fn new(codings: &[Coding]) -> Option<Self> {
        if codings.is_empty() {
            return None;
        }
        let name = codings.iter().map(|coding| coding.name()).collect::<Vec<_>>().join(", ");
        let (input, chunks) = mpsc::channel();
        let mut reader: Box<dyn Read + Send> = Box::new(Feed::new(chunks));
        for coding in codings.iter().rev() {
            let source = BufReader::with_capacity(PART, reader);
            reader = match coding {
                Coding::Brotli => Box::new(Decompressor::new(source, PART)),
                Coding::Deflate => Box::new(Deflate::new(source)),
                Coding::Gzip => Box::new(GzipReader::new(source)),
                Coding::Zstd => {
                    let mut decoder = zstd::stream::read::Decoder::with_buffer(source).ok()?;
                    decoder.window_log_max(MAX_ZSTD_WINDOW).ok()?;
                    Box::new(decoder)
                }
            };
        }
        Some(Self { input: Some(input), reader: Mutex::new(reader), name, has_input: false })
    }

    /// Adds a received chunk of the compressed body.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.has_input |= !chunk.is_empty();
        if let Some(input) = &self.input {
            // Sending succeeds, because the reader lives as long as the sender.
            let _sent = input.send(chunk);
        }
    }

    /// Marks the end of the compressed body.
    pub(crate) fn finish(&mut self) {
        self.input = None;
    }

    /// Returns the next part of the decompressed body. Returns `None` at its end, or if more received bytes are needed.
    pub(crate) fn next(&self) -> Result<Option<Bytes>, DecodeError> {
        // An empty body, as of a `204`, has no coding.
        if !self.has_input {
            return Ok(None);
        }
        let mut part = vec![0; PART];
        match sync::lock(&self.reader).read(&mut part) {
            Ok(0) => Ok(None),
            Ok(length) => {
                part.truncate(length);
                Ok(Some(part.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(DecodeError { name: self.name.clone(), error }),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Decoder({})", self.name)
    }
}
