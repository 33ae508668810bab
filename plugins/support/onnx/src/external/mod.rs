//! Checks the files in which an ONNX model stores weights, before ONNX Runtime opens the model. Searches every message
//! of the model for tensors, whose files must be in the model's folder. Never loads or runs a model.

mod schema;
mod tensor;
#[cfg(test)]
mod tests;
mod walk;
mod wire;

pub(crate) use walk::check;
