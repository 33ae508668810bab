//! What runs models: ONNX Runtime in this process, and in `python` MLflow's own scoring server hstack it. ONNX Runtime
//! is given tensors and files, and knows nothing of deployments, requests or JSON.

mod bind_inputs;
mod cast;
mod elf_check;
mod exit_guard;
mod external;
mod library;
mod onnx;
pub(crate) mod python;
mod runtime;
mod session;
mod settings;
mod values;

pub(crate) use library::Places;
pub(crate) use onnx::Onnx;
pub(crate) use settings::Settings;
