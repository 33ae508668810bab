//! Decompresses the content coding `gzip`. As in the program `gzip`, zeros after the compressed data are padding.

use std::fmt;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// A reader that decompresses all members of a gzip stream and skips zeros after them. Reading may be tried again after
/// the error `WouldBlock`.
pub struct GzipReader<R>(State<R>);

/// The part of the stream that is read next. `Between` is `None` only while it is replaced.
enum State<R> {
    Member(GzDecoder<R>),
    Between(Option<R>),
}

impl<R: BufRead> GzipReader<R> {
    /// Creates a reader of the compressed bytes in `source`.
    pub fn new(source: R) -> Self {
        Self(State::Member(GzDecoder::new(source)))
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.0 {
                State::Member(decoder) => {
                    let length = decoder.read(buffer)?;
                    if length > 0 || buffer.is_empty() {
                        return Ok(length);
                    }
                }
                State::Between(source) => {
                    let Some(reader) = source else { return Ok(0) };
                    let bytes = reader.fill_buf()?;
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    match (zeros, bytes.len()) {
                        (_, 0) => return Ok(0),
                        (1.., _) => reader.consume(zeros),
                        (0, _) => {
                            let Some(reader) = source.take() else { return Ok(0) };
                            self.0 = State::Member(GzDecoder::new(reader));
                        }
                    }
                    continue;
                }
            }
            // The member has ended, so its decoder has checked its length and checksum.
            if let State::Member(decoder) = std::mem::replace(&mut self.0, State::Between(None)) {
                self.0 = State::Between(Some(decoder.into_inner()));
            }
        }
    }
}

impl<R> fmt::Debug for GzipReader<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GzipReader")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        // A small buffer: the padding comes in parts.
        GzipReader::new(io::BufReader::with_capacity(3, bytes)).read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn members_are_joined_and_zeros_are_padding() {
        let [one, other] = [gzip("one"), gzip("other")];
        let padding = vec![0; 700];
        for (bytes, text) in [
            (one.clone(), "one"),
            ([one.clone(), other.clone()].concat(), "oneother"),
            ([one.clone(), padding.clone()].concat(), "one"),
            ([one.clone(), padding.clone(), other.clone(), vec![0]].concat(), "oneother"),
            (gzip(""), ""),
        ] {
            assert_eq!(read(&bytes).unwrap(), text);
        }
    }

    #[test]
    fn other_bytes_after_the_data_and_a_cut_stream_are_errors() {
        let one = gzip("one");
        for bytes in [
            [one.clone(), b"more".to_vec()].concat(),
            [one.clone(), vec![0, 0, 1]].concat(),
            one[..one.len() - 1].to_vec(),
            [one.clone(), one[..12].to_vec()].concat(),
        ] {
            read(&bytes).unwrap_err();
        }
    }
}
