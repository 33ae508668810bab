//! Tests the config, the table of features and the result of `explain`, without a loaded model.

mod inputs;
mod results;
