//! The content codings of HTTP responses, such as `gzip`, and the headers that contain their names.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

/// The content codings that a client accepts for a response that is read as a whole.
const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// The maximum number of content codings that one response may combine. Each coding needs a decoder with buffers.
const MAX_CODINGS: usize = 4;

/// A content coding, with which a server compresses a response.
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

/// Sets the `Accept-Encoding` header to request a compressed response, unless the caller has set the header.
pub(crate) fn accept_compressed(headers: &mut HeaderMap) {
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(ACCEPTED));
}

/// Sets the `Accept-Encoding` header to request an uncompressed response, unless the caller has set the header. A
/// compressor would delay the parts of a stream, and the length of a compressed file would differ from the known
/// length.
pub(crate) fn accept_identity(headers: &mut HeaderMap) {
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
}

/// Returns the content codings of a response, in the order in which the server applied them. Fails with the name of an
/// unknown coding, or with the value of the header if it lists too many codings.
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
