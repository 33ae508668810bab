//! Decodes compressed request bodies, within the limits for the length and the memory of a body.

use std::io::Read;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use mlflow_deploy_http::GzipReader;
use tokio::sync::OwnedSemaphorePermit;

use super::limits::MemoryBudget;
use super::rejection::Rejection;

/// The number of decoded bytes after which the limits are checked again.
const STEP: usize = 1 << 20;

/// The compression of a request body, from the header `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    Deflate,
    Gzip,
}

impl ContentCoding {
    /// Returns the compression of a request body; `None` if the body is not compressed. Fails if the compression is not
    /// supported.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Rejection> {
        let values = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let all = values.collect::<Vec<_>>().join(", ");
        let names = all.split(',').map(|name| name.trim().to_ascii_lowercase());
        let names: Vec<String> = names.filter(|name| !name.is_empty() && name != "identity").collect();
        match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Ok(None),
            ["deflate"] => Ok(Some(Self::Deflate)),
            ["gzip" | "x-gzip"] => Ok(Some(Self::Gzip)),
            _ => Err(Rejection::UnknownCoding(all)),
        }
    }

    /// Decompresses a body. Blocks. `taken` is the memory that the budget has reserved for the body. It grows to cover
    /// both the compressed and the decompressed body, and finally shrinks to cover the decompressed body.
    pub(super) fn decode(
        self,
        body: Vec<u8>,
        limit: usize,
        memory: &MemoryBudget,
        taken: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Vec<u8>, Rejection> {
        let mut decoder = self.decoder(&body);
        let mut decoded = Vec::new();
        loop {
            let before = decoded.len();
            // The memory of the next step is reserved before the step is decoded.
            if !memory.resize(taken, body.len().saturating_add(before).saturating_add(STEP)) {
                return Err(Rejection::OutOfMemory);
            }
            let read = decoder.by_ref().take(STEP as u64).read_to_end(&mut decoded);
            read.map_err(|error| Rejection::BrokenBody(format!("it is not valid {}: {error}", self.name())))?;
            if decoded.len() > limit {
                return Err(Rejection::TooLong(limit));
            }
            if decoded.len() == before {
                break;
            }
        }
        drop(decoder);
        drop(body);
        // The share shrinks, which always succeeds.
        let _shrunk = memory.resize(taken, decoded.len());
        Ok(decoded)
    }

    fn decoder<'a>(self, body: &'a [u8]) -> Box<dyn Read + 'a> {
        match self {
            Self::Gzip => Box::new(GzipReader::new(body)),
            Self::Deflate if is_zlib(body) => Box::new(ZlibDecoder::new(body)),
            // Some clients leave out the header of zlib.
            Self::Deflate => Box::new(DeflateDecoder::new(body)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
        }
    }
}

/// Returns true if a body begins with a zlib header.
fn is_zlib(body: &[u8]) -> bool {
    let [method, flags, ..] = *body else { return false };
    method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn of(values: &[&'static str]) -> Result<Option<ContentCoding>, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        ContentCoding::of(&headers)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(coding: ContentCoding, body: &[u8], limit: usize) -> Result<Vec<u8>, Rejection> {
        coding.decode(body.to_vec(), limit, &MemoryBudget::of_mib(64), &mut None)
    }

    #[test]
    fn the_coding_is_read_and_another_is_named() {
        for (values, coding) in [
            (&[][..], None),
            (&["identity"], None),
            (&[""], None),
            (&["GZip"], Some(ContentCoding::Gzip)),
            (&["x-gzip"], Some(ContentCoding::Gzip)),
            (&["identity, deflate"], Some(ContentCoding::Deflate)),
        ] {
            assert_eq!(of(values).unwrap(), coding, "{values:?}");
        }
        for values in [&["br"][..], &["zstd"], &["gzip, gzip"], &["gzip", "br"]] {
            let Err(Rejection::UnknownCoding(named)) = of(values) else { panic!("{values:?}") };
            assert_eq!(named, values.join(", "));
        }
    }

    #[test]
    fn a_body_is_decoded_within_the_limits() {
        let text = b"a text that is repeated, ".repeat(100_000);
        let twice = [gzip(&text), gzip(&text)].concat();
        assert_eq!(decode(ContentCoding::Gzip, &twice, 2 * text.len()).unwrap(), text.repeat(2));
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&text).unwrap();
        for deflated in [zlib.finish().unwrap(), raw.finish().unwrap()] {
            assert_eq!(decode(ContentCoding::Deflate, &deflated, text.len()).unwrap(), text);
        }
        let long = decode(ContentCoding::Gzip, &gzip(&text), text.len() - 1);
        assert!(matches!(long, Err(Rejection::TooLong(limit)) if limit == text.len() - 1), "{long:?}");
        let (memory, mut taken) = (MemoryBudget::of_mib(2), None);
        let full = ContentCoding::Gzip.decode(gzip(&text), usize::MAX, &memory, &mut taken);
        assert!(matches!(full, Err(Rejection::OutOfMemory)), "{full:?}");
    }

    #[test]
    fn a_damaged_body_is_rejected() {
        let whole = gzip(b"{}");
        for body in [&b"{}"[..], b"", &whole[..whole.len() - 1], &whole[..3]] {
            let damaged = decode(ContentCoding::Gzip, body, 100);
            assert!(matches!(&damaged, Err(Rejection::BrokenBody(reason)) if reason.contains("gzip")), "{damaged:?}");
        }
    }
}
