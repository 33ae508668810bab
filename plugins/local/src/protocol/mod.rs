//! MLflow's scoring protocol: what is read as inputs, and what is written as predictions. It knows no engine.

mod array;
mod cells;
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
mod tensors;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub(crate) use read::{Inputs, read};
pub(crate) use write::{Layout, Output, write};
