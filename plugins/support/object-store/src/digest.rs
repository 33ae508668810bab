//! The digests of whole files that object stores report, and their check.

use std::fs::File;
use std::io::{self, Read};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use md5::{Digest as _, Md5};

/// The digest of a whole file, as the store reports it with each part of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digest {
    /// The CRC32C checksum.
    Crc32c(u32),
    /// The MD5 digest.
    Md5([u8; 16]),
}

impl Digest {
    /// Reads the digest of the whole file in the headers of a response. Returns `None` if the store reports none.
    pub(crate) fn of_response(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let base64 = |value: &str| BASE64_STANDARD.decode(value.trim()).ok();
        let md5 = |value: &str| Some(Self::Md5(base64(value)?.try_into().ok()?));
        // Google reports both digests in one header or in two. A file of several parts has no MD5 digest.
        let hashes = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
        let hashes: Vec<_> = hashes.flat_map(|value| value.split(',')).map(str::trim).collect();
        if let Some(found) = hashes.iter().find_map(|hash| md5(hash.strip_prefix("md5=")?)) {
            return Some(found);
        }
        let crc32c = |hash: &str| Some(Self::Crc32c(u32::from_be_bytes(base64(hash)?.try_into().ok()?)));
        if let Some(found) = hashes.iter().find_map(|hash| crc32c(hash.strip_prefix("crc32c=")?)) {
            return Some(found);
        }
        if let Some(found) = text("x-ms-blob-content-md5").and_then(md5) {
            return Some(found);
        }
        // Amazon's `ETag` is the MD5 digest of a file that was uploaded as a whole, unless a key of the user encrypts it.
        let is_amazon = headers.contains_key("x-amz-request-id") && !headers.contains_key("x-goog-generation");
        let is_encrypted = text("x-amz-server-side-encryption").is_some_and(|kind| kind != "AES256")
            || headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
            || text("x-amz-storage-class").is_some_and(|class| class == "EXPRESS_ONEZONE");
        let tag = text("etag").map(|tag| tag.trim_matches('"')).filter(|_| is_amazon && !is_encrypted)?;
        hex(tag).map(Self::Md5)
    }

    /// Returns the digest of the same kind of a file's content. Blocks.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn of_file(&self, mut file: File) -> io::Result<Self> {
        let mut buffer = vec![0; 1 << 20];
        let (mut md5, mut crc32c) = (Md5::new(), crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi));
        loop {
            let length = match file.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length?,
            };
            if length == 0 {
                break;
            }
            match self {
                Self::Crc32c(_) => crc32c.update(&buffer[..length]),
                Self::Md5(_) => md5.update(&buffer[..length]),
            }
        }
        Ok(match self {
            Self::Crc32c(_) => Self::Crc32c(u32::try_from(crc32c.finalize()).map_err(io::Error::other)?),
            Self::Md5(_) => Self::Md5(md5.finalize().into()),
        })
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Crc32c(sum) => write!(formatter, "CRC32C {sum:08x}"),
            Self::Md5(digest) => {
                formatter.write_str("MD5 ")?;
                digest.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }
    }
}

/// Decodes an MD5 digest in hexadecimal digits.
fn hex(text: &str) -> Option<[u8; 16]> {
    let is_digest = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| is_digest)?;
    Some(number.to_be_bytes())
}
