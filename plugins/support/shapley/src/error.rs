//! Reasons why a model cannot be explained.

use std::fmt;

/// A failed explanation.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttributionError<E> {
    /// The model failed to predict.
    Model(E),
    /// The background has no rows.
    NoBackground,
    /// The inputs have no rows.
    NoRows,
    /// The model predicts a value that is not finite.
    NotFinite {
        /// The index of the output.
        output: usize,
        /// The prediction.
        value: f64,
        /// The explained row, if it contributes at least one feature.
        row: Option<usize>,
        /// The background row, from 0, if it contributes at least one feature.
        background_row: Option<usize>,
    },
    /// The number of predictions is wrong, or the number of outputs differs between calls.
    UnevenPredictions,
}

impl<E: fmt::Display> fmt::Display for AttributionError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => error.fmt(formatter),
            Self::NoBackground => formatter.write_str("the background has no rows: specify at least one"),
            Self::NoRows => formatter.write_str("the inputs have no rows: there is nothing to explain"),
            Self::NotFinite { output, value, row, background_row } => {
                write!(formatter, "failed to explain: output {output} of the model is `{value}` for ")?;
                match (row, background_row) {
                    (Some(row), None) => write!(formatter, "row {row}")?,
                    (None, Some(background)) => write!(formatter, "row {background} of the background")?,
                    (Some(row), Some(background)) => {
                        write!(formatter, "row {row} with some values of row {background} of the background")?;
                    }
                    (None, None) => formatter.write_str("a row without features")?,
                }
                formatter.write_str("; only finite numbers can be explained")
            }
            Self::UnevenPredictions => formatter
                .write_str("failed to explain: the model does not return the same number of outputs for every row"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for AttributionError<E> {}
