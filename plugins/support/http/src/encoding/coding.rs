//! The names of the codings.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

/// The codings that a request for a whole response accepts.
const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// The maximum number of codings of one response. Each coding needs a decoder with buffers.
const MAX_CODINGS: usize = 4;

/// A coding of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Deflate,
    Gzip,
    Zstd,
}

impl Coding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Sets the header that requests a compressed response, unless the caller has set it.
pub(crate) fn accept_compressed(headers: &mut HeaderMap) {
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(ACCEPTED));
}

/// Sets the header that requests an uncompressed response, unless the caller has set it. A compressor would hold back
/// the parts of a stream, and the known length of a file is its uncompressed length.
pub(crate) fn accept_identity(headers: &mut HeaderMap) {
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
}

/// Returns the codings of a response, in the order in which they were applied. Fails with the header's text if a coding
/// is unknown or there are too many.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        for name in value.split(',').map(str::trim) {
            codings.push(match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "br" => Coding::Brotli,
                "deflate" => Coding::Deflate,
                "gzip" | "x-gzip" => Coding::Gzip,
                "zstd" => Coding::Zstd,
                _ => return Err(name.to_owned()),
            });
            if codings.len() > MAX_CODINGS {
                return Err(value.into_owned());
            }
        }
    }
    Ok(codings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_are_read_in_any_case_and_from_every_line() {
        let read = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (CONTENT_ENCODING, HeaderValue::from_static(line)));
            codings(&HeaderMap::from_iter(lines))
        };
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&["identity", ""]), Ok(vec![]));
        assert_eq!(read(&["GZIP"]), Ok(vec![Coding::Gzip]));
        assert_eq!(read(&["br,x-gzip"]), Ok(vec![Coding::Brotli, Coding::Gzip]));
        assert_eq!(read(&["deflate , identity, zstd"]), Ok(vec![Coding::Deflate, Coding::Zstd]));
        assert_eq!(read(&["gzip, Compress"]), Err("Compress".to_owned()));
        assert_eq!(read(&["gzip,gzip,gzip,gzip,gzip"]), Err("gzip,gzip,gzip,gzip,gzip".to_owned()));
    }
}
