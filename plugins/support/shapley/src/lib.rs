#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attribution;
mod method;
mod permutation;
mod shapley;
#[cfg(test)]
mod tests;

pub use attribution::{Attribution, Model};
pub use method::Method;
pub use permutation::Permutations;
pub use shapley::MOST_FEATURES;
