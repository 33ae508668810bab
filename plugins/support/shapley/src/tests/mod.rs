//! Properties of Shapley values, and models with known values.

mod game;
mod properties;
