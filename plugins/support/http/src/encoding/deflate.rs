//! Decompresses the content coding `deflate`. By the standard it has the zlib format, but some servers send raw deflate
//! data.

use std::io::{self, BufRead, Chain, Cursor, Read};

use flate2::bufread::{DeflateDecoder, ZlibDecoder};

/// A reader that decompresses `deflate` in the zlib format or as raw data.
pub(crate) enum Deflate<R> {
    /// The format is not known yet. Contains the source and its first bytes, at most two. The source is `None` only
    /// while this variant is replaced.
    Start(Option<R>, Vec<u8>),
    Raw(DeflateDecoder<Chain<Cursor<Vec<u8>>, R>>),
    Zlib(ZlibDecoder<Chain<Cursor<Vec<u8>>, R>>),
}

impl<R: BufRead> Deflate<R> {
    pub(crate) fn new(source: R) -> Self {
        Self::Start(Some(source), Vec::new())
    }
}

impl<R: BufRead> Read for Deflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let (source, start) = match self {
                Self::Raw(decoder) => return decoder.read(buffer),
                Self::Zlib(decoder) => return decoder.read(buffer),
                Self::Start(source, start) => (source, start),
            };
            let Some(reader) = source else { return Ok(0) };
            if start.len() < 2 {
                let mut byte = [0];
                if reader.read(&mut byte)? == 1 {
                    start.push(byte[0]);
                    continue;
                }
            }
            // RFC 1950: the method 8, and a check of both bytes.
            let is_zlib = matches!(start[..], [method, flags]
                if method & 0xf == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31));
            let start = Cursor::new(std::mem::take(start));
            let Some(reader) = source.take() else { return Ok(0) };
            let whole = start.chain(reader);
            *self = if is_zlib { Self::Zlib(ZlibDecoder::new(whole)) } else { Self::Raw(DeflateDecoder::new(whole)) };
        }
    }
}
