//! Reads the cache of glibc's loader, which lists libraries by name. `ldconfig` writes it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::file;

/// The contents of `/etc/ld.so.cache`. Empty if the file is missing or has an unknown format.
#[derive(Debug, Default)]
pub(super) struct LoaderCache {
    bytes: Vec<u8>,
    /// The offset of the first byte in the known format. Entries in an older format may precede it.
    start: usize,
    entries: usize,
}

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

impl LoaderCache {
    pub(super) fn system() -> Self {
        const MAX_BYTES: u64 = 64 * 1024 * 1024;
        let bytes = file::read(Path::new("/etc/ld.so.cache"), MAX_BYTES);
        bytes.ok().and_then(Self::parse).unwrap_or_default()
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        let entries = usize::try_from(number(&bytes, start + MAGIC.len())?).ok()?;
        let end = entries.checked_mul(ENTRY)?.checked_add(start + HEADER)?;
        (end <= bytes.len()).then_some(Self { bytes, start, entries })
    }

    /// Returns the paths of the libraries with this name, in the loader's order of preference. Skips builds for special
    /// processors, because an ordinary build always exists as well.
    pub(super) fn paths<'a>(&'a self, name: &'a str) -> impl Iterator<Item = PathBuf> {
        let entry = |at: usize| self.start + HEADER + at * ENTRY;
        (0..self.entries).map(entry).filter_map(move |at| {
            let is_ordinary = self.bytes.get(at + 16..at + ENTRY)?.iter().all(|byte| *byte == 0);
            let is_named = is_ordinary && self.string(at + 4)? == name.as_bytes();
            is_named.then(|| Some(PathBuf::from(OsStr::from_bytes(self.string(at + 8)?))))?
        })
    }

    /// Returns a string without its final NUL. The cache stores the offset of the string at `at`.
    fn string(&self, at: usize) -> Option<&[u8]> {
        let from = self.start.checked_add(usize::try_from(number(&self.bytes, at)?).ok()?)?;
        let text = self.bytes.get(from..)?;
        text.get(..text.iter().position(|byte| *byte == 0)?)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a cache that contains one library. An entry in the older format precedes it.
    fn cache() -> Vec<u8> {
        let strings = b"libx.so.1\0/lib/libx.so.1\0";
        let at = u32::try_from(HEADER + ENTRY).unwrap();
        let mut bytes = b"ld.so-1.7.0\0\0\0\0\0".to_vec();
        bytes.extend(MAGIC);
        bytes.extend(1_u32.to_ne_bytes());
        bytes.extend([0; HEADER - MAGIC.len() - 4]);
        bytes.extend([0x0303_u32, at, at + 10, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes));
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn a_library_is_found_by_its_name() {
        let cache = LoaderCache::parse(cache()).unwrap();
        assert_eq!(cache.paths("libx.so.1").collect::<Vec<_>>(), [PathBuf::from("/lib/libx.so.1")]);
        assert_eq!(cache.paths("libx.so").next(), None);
    }

    #[test]
    fn a_truncated_cache_is_empty() {
        let whole = cache();
        for length in 0..whole.len() {
            let found = LoaderCache::parse(whole[..length].to_vec()).unwrap_or_default();
            assert_eq!(found.paths("libx.so.1").next(), None, "{length}");
        }
    }
}
