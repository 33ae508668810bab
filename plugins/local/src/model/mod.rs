//! An MLflow model's folder: what its file `MLmodel` says. Never opens the model itself.

mod example;
mod flavor;
mod mlmodel;
#[cfg(test)]
mod tests;

pub(crate) use flavor::OnnxFlavor;
pub(crate) use mlmodel::Model;
