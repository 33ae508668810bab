//! Why a model predicts what it predicts: Shapley values of the features, against background rows.
//!
//! It is mathematics over whatever predicts rows, and knows no engine and no model's folder.

mod attribution;
mod document;
mod element;
mod method;
mod outputs;
mod permutation;
mod settings;
mod shapley;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use attribution::{Attribution, Model};
pub(crate) use document::Document;
pub(crate) use outputs::Explained;
pub(crate) use settings::Settings;
pub(crate) use table::Table;
