//! The operation `explain`. This module reads the config and the inputs, builds the table of features and writes the
//! result. The crate `mlflow-deploy-shapley` computes the Shapley values.

mod config;
mod document;
mod element;
mod feature_table;
mod method_choice;
mod operation;
mod outputs;
#[cfg(test)]
mod tests;

pub(crate) use operation::explain;
