#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attribution;
mod coalitions;
mod error;
mod method;
mod permutation;
mod term;
#[cfg(test)]
mod tests;

pub use attribution::{Attribution, RowPredictor};
pub use coalitions::MAX_FEATURES;
pub use error::AttributionError;
pub use method::Method;
pub use permutation::Permutations;
