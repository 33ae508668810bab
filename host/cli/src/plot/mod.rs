//! Plots an explanation as SVG: the importance of the features over all rows, and a waterfall of one row's prediction.
//!
//! The explanation must have the format of the target `local`, but may come from any target.

mod chart;
mod explanation;
mod importance;
mod label;
mod svg;
#[cfg(test)]
mod tests;
mod waterfall;

pub(crate) use svg::svg;
