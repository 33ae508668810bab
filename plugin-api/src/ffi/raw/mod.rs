//! A host for tests of libraries: calls a table with valid and invalid arguments, and records every callback.
//!
//! It does not judge the plugin; the test does.

mod driver;
mod lend;
mod library;
mod recorder;
mod request;

pub use driver::{Driver, Entered, in_fork};
pub use library::{Library, TableFacts};
pub use recorder::{Chunk, HostShape, RecordedCall, RecordedEvent, Reply};
pub use request::{Bytes, Request};
