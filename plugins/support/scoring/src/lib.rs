#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod array;
mod cell_error;
mod cells;
mod client;
mod columns;
mod content_type;
mod convert;
mod datetime;
mod element;
mod encoding;
mod error;
mod frame;
mod input_example;
mod inputs;
mod json;
mod message;
mod missing_values;
mod params;
pub mod python;
mod read;
mod records;
mod request;
mod signature;
mod tensor;
mod tensors;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use client::{read_predictions, write_request};
pub use error::ProtocolError;
pub use input_example::InputExampleKind;
pub use inputs::Inputs;
pub use message::shorten;
pub use read::{read_params, read_request, read_tensor};
pub use signature::{ColumnSpec, ColumnType, ParamSpec, ScalarType, Schema, Signature, SignatureError, TensorSpec};
pub use tensor::{DType, Tensor};
pub use write::{Layout, Output, write_predictions, write_value};
