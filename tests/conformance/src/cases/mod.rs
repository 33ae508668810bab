//! The conformance cases. Each module holds one or more families of cases.

mod abi;
mod cancel;
mod catalog;
mod errors;
mod fuzz;
mod load;
mod manifest;
mod memory;
mod operations;
mod output;
mod payload;
mod process;
mod prompt;
mod semantics;
mod stream;
mod threads;
