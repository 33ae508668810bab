//! A reader, which calls a parser and checks its result, and the reader's seed inputs.

use std::fs;
use std::io;
use std::path::Path;

/// A named function that calls a parser and checks its result.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reader {
    /// The name of the reader, and of the folder in `corpus/` with its seed inputs.
    pub name: &'static str,
    /// Parses bytes and checks the result. Accepts an error of the parser for invalid bytes.
    ///
    /// # Panics
    /// Panics if the parser panics or its result is inconsistent.
    pub read: fn(&[u8]),
}

impl Reader {
    /// Returns the seed inputs of the reader, ordered by file name.
    ///
    /// # Errors
    /// Fails if the folder or one of its files cannot be read.
    pub fn corpus(&self) -> io::Result<Vec<Vec<u8>>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name);
        let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.sort();
        files.iter().map(fs::read).collect()
    }
}
