//! Reads an MLflow model's folder: the file `MLmodel` and the input example. Never opens the ONNX file or other model
//! data.

mod example;
mod flavor;
mod mlmodel;
#[cfg(test)]
mod tests;

pub(crate) use flavor::OnnxFlavor;
pub(crate) use mlmodel::Model;
