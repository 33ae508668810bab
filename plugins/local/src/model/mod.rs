//! An MLflow model's folder: what its file `MLmodel` says. Never opens the model itself.

mod example;
mod flavor;
mod mlmodel;
mod signature;
#[cfg(test)]
mod tests;

pub(crate) use flavor::OnnxFlavor;
pub(crate) use mlmodel::Model;
pub(crate) use signature::{ColumnSpec, ColumnType, ParamSpec, ScalarType, Schema, Signature, TensorSpec};
