//! Converts CSV to the JSON that MLflow's model servers read. Values get the same types as in pandas.

mod column;
mod frame;

#[cfg(feature = "bulk")]
pub(crate) use column::{ColumnGuess, ColumnType};
pub(crate) use frame::dataframe_split;
