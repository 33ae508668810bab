//! The conformance cases by family. A family checks one part of the plugin contract.

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
