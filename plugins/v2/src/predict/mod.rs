//! Predictions: MLflow's requests to tensors, tensors to the protocol's requests, and its answers to MLflow's
//! predictions.

mod answer;
mod infer_request;
mod inputs;
mod passthrough;
mod signature;

pub(crate) use answer::read_answer;
pub(crate) use infer_request::{Wire, write_request};
pub(crate) use inputs::read_inputs;
pub(crate) use passthrough::as_infer_body;
