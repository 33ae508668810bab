#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bind_inputs;
mod cast;
mod elf_check;
mod exit_guard;
mod external;
mod library;
mod model;
mod runtime;
mod session_options;
mod session_pool;
mod values;

pub use bind_inputs::UnknownInputs;
pub use library::LibrarySearch;
pub use model::{OnnxModel, RunPermit, TerminateOnDrop};
pub use session_options::SessionOptions;
