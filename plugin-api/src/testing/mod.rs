#![doc = include_str!("../../TESTING.md")]

mod events;
mod manifest;
mod native;

pub use crate::assert_manifest;
pub use events::{Events, start};
#[doc(hidden)]
pub use manifest::assert_members;
pub use native::{SentChunks, chunks, chunks_with_credit, natively};

/// Loads a plugin's library, calls its table with valid and invalid arguments, and records the callbacks that it calls.
///
/// A library under test may break any rule. The functions that load a library or trust its table are `unsafe`. A test
/// calls them in a process that may crash. Conformance tests use this module; tests of a plugin do not need it.
pub mod raw {
    pub use crate::ffi::raw::{
        Bytes, Chunk, Driver, Entered, HostShape, Library, RecordedCall, RecordedEvent, Reply, Request, TableFacts,
        in_fork,
    };
}
