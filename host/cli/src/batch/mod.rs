//! The verb `predict-batch`: predictions for many rows.

mod completeness;
mod failed_rows;
mod progress;
mod settings;
mod summary;
mod verb;

pub(crate) use verb::run;
