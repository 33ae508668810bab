//! What reads bytes that others wrote: each such reader as a function that may refuse what it gets, and must do nothing
//! else. A panic, a crash, a hang or a result that contradicts itself is a fault of the reader.
//!
//! `corpus/NAME/` holds bytes that the reader `NAME` takes, or refuses late: what others are made of. The unit test
//! mutates them a fixed number of times, from a fixed seed, on any toolchain; `libfuzzer/` looks for new ones guided
//! by coverage, with `cargo fuzz` on a nightly:
//!
//! ```sh
//! cargo test -p mlflow-deploy-fuzz                                   # as CI does
//! FUZZ_ITERATIONS=1000000 FUZZ_READER=manifest cargo test --release -p mlflow-deploy-fuzz
//! FUZZ_READER=manifest cargo +nightly fuzz run --fuzz-dir tests/fuzz/libfuzzer reader tests/fuzz/corpus/manifest
//! ```
//!
//! Plugins are shared libraries that no crate can link, so their readers are compiled by path, and so are the private
//! modules of the host.

mod readers;

#[path = "../../../host/src/isolation/message.rs"]
#[expect(dead_code, reason = "nobody is called here")]
mod message;
#[path = "../../../plugins/local/src/model/mod.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "the plugin does more with a model than to read of it"))]
#[expect(unused_imports, reason = "as above")]
mod model;
#[path = "../../../plugins/databricks/src/profile.rs"]
#[expect(dead_code, reason = "the plugin asks more of a profile than its text")]
mod profile;

use std::fs;
use std::io;
use std::path::Path;

/// One reader under test.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reader {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Reads.
    ///
    /// # Panics
    /// Where the reader has a fault.
    pub read: fn(&[u8]),
}

/// All readers.
pub use readers::READERS;

impl Reader {
    /// The bytes that others are made of, in the order of their files' names.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn corpus(&self) -> io::Result<Vec<Vec<u8>>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name);
        let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.sort();
        files.iter().map(fs::read).collect()
    }
}
