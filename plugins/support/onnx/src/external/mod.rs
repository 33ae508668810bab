//! Checks the files in which an ONNX model stores its weights, before ONNX Runtime opens the model. Searches every
//! message of the model for tensors. The files of the tensors must be in the model's folder. Never loads or runs a
//! model.

mod schema;
mod tensor;
#[cfg(test)]
mod tests;
mod walk;
mod wire;

pub(crate) use walk::check;
