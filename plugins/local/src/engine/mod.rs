//! The two engines: ONNX Runtime in this process (`mlflow-deploy-onnx`), and MLflow's scoring server in a Python
//! process.

pub(crate) mod python;

pub(crate) use mlflow_deploy_onnx::{LibrarySearch, OnnxModel, SessionOptions, UnknownInputs};
