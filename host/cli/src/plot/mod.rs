//! Plots an explanation as SVG: the importance of the features over all rows, and a waterfall of one row's prediction.
//!
//! It reads the result of `explain` in the format of the target `local`, and does not depend on the target.

mod chart;
mod explanation;
mod importance;
mod label;
mod svg;
#[cfg(test)]
mod tests;
mod waterfall;

pub(crate) use svg::svg;
