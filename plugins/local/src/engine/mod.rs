//! The two engines that run models: ONNX Runtime in this process (crate `mlflow-deploy-onnx`), and MLflow's scoring
//! server in separate Python processes.

pub(crate) mod python;

pub(crate) use mlflow_deploy_onnx::{LibrarySearch, OnnxModel, RunPermit, SessionOptions, UnknownInputs};
