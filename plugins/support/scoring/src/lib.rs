#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod array;
mod cells;
mod client;
mod columns;
mod content_type;
mod convert;
mod datetime;
mod element;
mod fault;
mod frame;
mod json;
mod params;
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
pub use fault::Fault;
pub use read::{Inputs, read};
pub use signature::{ColumnSpec, ColumnType, ParamSpec, SavedSignature, ScalarType, Schema, Signature, TensorSpec};
pub use tensor::{DType, Tensor};
pub use write::{Layout, Output, write};
