//! Tests of properties that all Shapley values have, and of models whose Shapley values are known.

mod game;
mod properties;
