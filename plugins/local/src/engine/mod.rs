//! ONNX Runtime, and a model in it. It knows tensors and files, and nothing of deployments, requests or JSON.

mod cast;
mod external;
mod feed;
mod library;
mod onnx;
mod runtime;
mod session;
mod settings;
mod values;

pub(crate) use library::Places;
pub(crate) use onnx::Engine;
pub(crate) use settings::Settings;
