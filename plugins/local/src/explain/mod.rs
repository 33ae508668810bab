//! The config of `explain`, its inputs as a table of features, and its answer. `mlflow-deploy-shapley` computes the values.

mod config;
mod document;
mod element;
mod feature_table;
mod outputs;
#[cfg(test)]
mod tests;

pub(crate) use config::ExplainConfig;
pub(crate) use document::ExplainDocument;
pub(crate) use feature_table::FeatureTable;
pub(crate) use outputs::ExplainedOutput;
