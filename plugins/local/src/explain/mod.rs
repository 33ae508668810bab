//! The operation `explain`: the config, the choice of the method, the table of features, and the resulting document.
//! `mlflow-deploy-shapley` computes the values.

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
