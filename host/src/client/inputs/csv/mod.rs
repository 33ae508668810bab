//! Converts CSV to JSON that MLflow's model servers read, with the types that pandas finds.

mod column;
mod frame;

pub(crate) use frame::dataframe_split;
