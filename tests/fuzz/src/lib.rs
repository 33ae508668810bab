//! Fuzz tests of the parsers of untrusted input. For each parser, a reader calls it and checks its result. A parser may
//! return an error for any bytes. A panic, a crash, a hang or an inconsistent result is a bug.
//!
//! `corpus/NAME/` holds the seed inputs of the reader `NAME`: valid inputs, and inputs that are invalid only near their
//! end. The test in `tests/readers.rs` mutates these inputs a fixed number of times, from a fixed random seed, on any
//! toolchain. The program in `libfuzzer/` searches for new inputs, guided by coverage, with `cargo fuzz` on a nightly
//! toolchain:
//!
//! ```sh
//! cargo test -p mlflow-deploy-fuzz                                   # as CI does
//! FUZZ_ITERATIONS=1000000 FUZZ_READER=manifest cargo test --release -p mlflow-deploy-fuzz
//! FUZZ_READER=manifest cargo +nightly fuzz run --fuzz-dir tests/fuzz/libfuzzer reader tests/fuzz/corpus/manifest
//! ```
//!
//! The plugins are shared libraries, to which these tests cannot link. Therefore the tests include the plugins' modules
//! by path. They include a private module of the host in the same way.

mod reader;
mod readers;

#[path = "../../../plugins/v2/src/binary.rs"]
mod binary;
#[path = "../../../plugins/v2/src/datatype.rs"]
#[expect(dead_code, reason = "only the names and sizes of the types are used")]
mod datatype;
#[path = "../../../host/src/load/subprocess/message.rs"]
#[expect(dead_code, reason = "only the parser is tested")]
mod message;
#[path = "../../../plugins/local/src/model/mod.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "only the parser is tested"))]
#[expect(unused_imports, reason = "as above")]
mod model;
#[path = "../../../plugins/databricks/src/profile.rs"]
#[expect(dead_code, reason = "only the parser is tested")]
mod profile;

pub use reader::Reader;
pub use readers::READERS;
