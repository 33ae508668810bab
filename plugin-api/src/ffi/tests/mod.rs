//! The boundary in one process: no library is loaded, so Miri and the sanitizers see all of it.

mod layout;
mod misbehaving;
mod operations;
mod panics;
mod probe;
mod raw;
mod streams;
