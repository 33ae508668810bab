//! A host for tests of plugin libraries. It calls a plugin's table with valid and invalid arguments, and records every
//! callback.
//!
//! It does not check the plugin's behavior. The test checks the records.

mod driver;
mod lend;
mod library;
mod recorder;
mod request;

pub use driver::{Driver, Entered, in_fork};
pub use library::{Library, TableFacts};
pub use recorder::{Chunk, HostShape, RecordedCall, RecordedEvent, Reply};
pub use request::{Bytes, Request};
