//! Properties that Shapley values have, on models with known ones.

mod game;
mod properties;
