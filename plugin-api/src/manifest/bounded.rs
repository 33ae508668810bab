//! Reads parts of a file. Limits the number of bytes that are read, so that a false size in a header costs neither time
//! nor memory.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use object::read::{ReadCache, ReadRef};

/// The size of the blocks in which a file is read. Object files are read in many small parts that are close together.
const BLOCK: usize = 4 << 10;

/// The maximum number of blocks. The rest of a larger file is read without them.
const MAX_BLOCKS: usize = 1 << 18;

/// The alignment, in bytes, of the largest numbers in an object file.
const ALIGNMENT: u64 = 8;

/// An open file from which only a limited number of bytes can be read. This project uses it to read object files.
#[doc(hidden)]
#[derive(Debug)]
pub struct Bounded<'a> {
    file: &'a File,
    length: u64,
    /// The blocks of the file, each of which is read on its first use. The last one may be shorter.
    blocks: Vec<OnceCell<Vec<u8>>>,
    /// Reads the parts that are not inside one block.
    cache: ReadCache<&'a File>,
    left: Cell<u64>,
    is_exhausted: Cell<bool>,
}

impl<'a> Bounded<'a> {
    /// Returns a reader of `file` that reads at most `allowed` bytes. A read that does not fit into a block counts with
    /// its size.
    pub fn new(file: &'a File, allowed: u64) -> Self {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let blocks = usize::try_from(length).map_or(MAX_BLOCKS, |length| length.div_ceil(BLOCK).min(MAX_BLOCKS));
        Self {
            file,
            length,
            blocks: vec![OnceCell::new(); blocks],
            cache: ReadCache::new(file),
            left: Cell::new(allowed),
            is_exhausted: Cell::new(false),
        }
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

    /// Returns the bytes from `offset` to the end of their block, or `None` if the block cannot be read.
    fn rest_of_block(&self, offset: u64) -> Option<&[u8]> {
        let offset = usize::try_from(offset).ok()?;
        let cell = self.blocks.get(offset / BLOCK)?;
        let block = match cell.get() {
            Some(block) => block,
            None if self.left.get() < BLOCK as u64 => return None,
            None => {
                self.spend(BLOCK as u64).ok()?;
                let block = self.read_block(offset / BLOCK).ok()?;
                cell.get_or_init(|| block)
            }
        };
        block.get(offset % BLOCK..)
    }

    fn read_block(&self, index: usize) -> std::io::Result<Vec<u8>> {
        let start = (index * BLOCK) as u64;
        let left = usize::try_from(self.length - start).unwrap_or(BLOCK);
        let mut block = vec![0; left.min(BLOCK)];
        self.file.read_exact_at(&mut block, start)?;
        Ok(block)
    }
}

impl<'a> ReadRef<'a> for &'a Bounded<'_> {
    fn len(self) -> Result<u64, ()> {
        Ok(self.length)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        let is_in_one_block = (offset % BLOCK as u64).saturating_add(size) <= BLOCK as u64;
        if is_in_one_block
            && offset.is_multiple_of(ALIGNMENT)
            && let Some(part) = self.rest_of_block(offset).and_then(|rest| rest.get(..usize::try_from(size).ok()?))
        {
            return Ok(part);
        }
        self.spend(size)?;
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let rest = self.rest_of_block(range.start).unwrap_or_default();
        if let Some(end) = rest.iter().take(length).position(|byte| *byte == delimiter) {
            return Ok(&rest[..end]);
        }
        let text = self.cache.read_bytes_at_until(range, delimiter)?;
        self.spend(text.len() as u64 + 1)?;
        Ok(text)
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn parts_inside_and_across_blocks_are_read() {
        let bytes: Vec<u8> = (1..=251).cycle().take(2 * BLOCK + 100).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let bounded = Bounded::new(&file, 1 << 20);
        let data = &bounded;
        for (offset, size) in [(0, 10), (8, 16), (3, 5), (BLOCK - 8, 8), (BLOCK - 8, 9), (16, BLOCK), (2 * BLOCK, 100)]
        {
            let read = data.read_bytes_at(offset as u64, size as u64);
            assert_eq!(read, Ok(&bytes[offset..offset + size]), "{offset} {size}");
        }
        assert_eq!(data.read_bytes_at(2 * BLOCK as u64, 101), Err(()));
        assert_eq!(data.read_bytes_at(3 * BLOCK as u64, 0), Ok(&[][..]));
        for (range, delimiter, expected) in [
            (0..50, bytes[20], Ok(&bytes[..20])),
            (0..10, bytes[20], Err(())),
            (BLOCK - 100..BLOCK + 100, bytes[BLOCK + 50], Ok(&bytes[BLOCK - 100..BLOCK + 50])),
            (2 * BLOCK..9 * BLOCK, 0, Err(())),
        ] {
            let read = data.read_bytes_at_until(range.start as u64..range.end as u64, delimiter);
            assert_eq!(read, expected, "{range:?}");
        }
    }

    #[test]
    fn reading_ends_at_the_limit() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 40).unwrap();
        let bounded = Bounded::new(&file, 4 * BLOCK as u64);
        for block in 0..4 {
            (&bounded).read_bytes_at(block * BLOCK as u64, 8).unwrap();
        }
        (&bounded).read_bytes_at(0, 16).unwrap();
        assert!(!bounded.is_exhausted());
        assert_eq!((&bounded).read_bytes_at(1 << 39, 8), Err(()));
        assert!(bounded.is_exhausted());
    }
}
