//! Tests of the interface between a host and a plugin, in one process. No library is loaded, so Miri and the sanitizers
//! check all of the code.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test reports its location, and the probe panics on purpose"
)]
#![expect(clippy::cast_possible_truncation, reason = "sizes of structs are small")]

mod inline;
mod layout;
mod layout_check;
mod misbehaving;
mod operations;
mod panics;
mod probe;
mod raw;
mod streams;
