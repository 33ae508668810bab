//! Weights that an ONNX model keeps in other files: every place of a model is searched for them before ONNX Runtime
//! opens it, and each file must be in the model's folder. Nothing here loads or runs a model.

mod schema;
mod tensor;
#[cfg(test)]
mod tests;
mod walk;
mod wire;

pub(crate) use walk::check;
