//! Properties that Shapley values have, on models with known ones; and what goes in and comes out.

mod game;
mod inputs;
mod properties;
mod results;
