//! The config, the table of features and the answer of `explain`.

mod inputs;
mod results;
