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
mod session;
mod settings;
mod values;

pub use library::Places;
pub use model::{Onnx, Stop, Turn};
pub use settings::Settings;
