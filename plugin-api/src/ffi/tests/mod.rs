//! The boundary in one process: no library is loaded, so Miri and the sanitizers see all of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where, and the probe panics on purpose")]
#![expect(clippy::cast_possible_truncation, reason = "sizes of structs are small")]

mod layout;
mod layout_check;
mod misbehaving;
mod operations;
mod panics;
mod probe;
mod raw;
mod streams;
