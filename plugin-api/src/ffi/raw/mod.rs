//! A host for tests of libraries: it calls a table with anything at all, and notes all that comes back.
//!
//! Nothing here checks what a plugin does; whoever asks decides what is right.

mod driver;
mod lend;
mod library;
mod recorder;
mod request;

pub use driver::{Driver, Entered, in_fork};
pub use library::{Library, TableFacts};
pub use recorder::{Call, Chunk, Event, HostShape, Reply};
pub use request::{Bytes, Request};
