//! Why a model predicts what it predicts: Shapley values of the features, against background rows.
//!
//! Pure mathematics over whatever predicts rows. It knows no engine, no model folder and no protocol.

mod attribution;
mod method;
mod permutation;
mod shapley;
#[cfg(test)]
mod tests;

pub(crate) use attribution::{Attribution, Model};
pub(crate) use method::Method;
