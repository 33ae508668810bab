//! An MLflow model's folder, as its file `MLmodel` describes it. Never opens the model itself.

mod example;
mod flavor;
mod mlmodel;
#[cfg(test)]
mod tests;

pub(crate) use flavor::OnnxFlavor;
pub(crate) use mlmodel::Model;
