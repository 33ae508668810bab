//! A reader under test, and its corpus.

use std::fs;
use std::io;
use std::path::Path;

/// One reader under test.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reader {
    /// The name, also of the folder in `corpus/`.
    pub name: &'static str,
    /// Reads some bytes.
    ///
    /// # Panics
    /// Panics if the reader has a bug.
    pub read: fn(&[u8]),
}

impl Reader {
    /// Returns the seeds, ordered by file name.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn corpus(&self) -> io::Result<Vec<Vec<u8>>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name);
        let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.sort();
        files.iter().map(fs::read).collect()
    }
}
