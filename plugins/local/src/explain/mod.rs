//! The config of `explain`, its inputs as a table of features, and its answer. The values are computed by
//! `mlflow-deploy-shapley`.

mod document;
mod element;
mod outputs;
mod settings;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use document::Document;
pub(crate) use outputs::Explained;
pub(crate) use settings::Settings;
pub(crate) use table::Table;
