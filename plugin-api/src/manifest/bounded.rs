//! Limits the number of bytes that are read from a file, so that a false size in a header costs neither time nor
//! memory.

use std::cell::Cell;
use std::fs::File;
use std::ops::Range;

use object::read::{ReadCache, ReadRef};

/// An open file from which only a limited number of bytes can be read. This project uses it to read object files.
#[doc(hidden)]
#[derive(Debug)]
pub struct Bounded<'a> {
    cache: ReadCache<&'a File>,
    left: Cell<u64>,
    is_exhausted: Cell<bool>,
}

impl<'a> Bounded<'a> {
    /// Returns a reader of `file` that reads at most `allowed` bytes.
    pub fn new(file: &'a File, allowed: u64) -> Self {
        Self { cache: ReadCache::new(file), left: Cell::new(allowed), is_exhausted: Cell::new(false) }
    }

    /// Returns true if a read failed because it would have exceeded the limit.
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted.get()
    }

    fn spend(&self, bytes: u64) -> Result<(), ()> {
        let left = self.left.get().checked_sub(bytes);
        self.is_exhausted.set(self.is_exhausted.get() || left.is_none());
        self.left.set(left.ok_or(())?);
        Ok(())
    }
}

impl<'a> ReadRef<'a> for &'a Bounded<'_> {
    fn len(self) -> Result<u64, ()> {
        (&self.cache).len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.spend(size)?;
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let text = self.cache.read_bytes_at_until(range, delimiter)?;
        self.spend(text.len() as u64 + 1)?;
        Ok(text)
    }
}
