//! The error for a model whose predictions cannot be explained.

use std::fmt;

/// The reason why a model's predictions cannot be explained.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttributionError<E> {
    /// The model failed to predict.
    Model(E),
    /// There are no background rows.
    NoBackground,
    /// There are no rows to explain.
    NoRows,
    /// The model predicted `NaN` or an infinite number.
    NotFinite {
        /// The index of the output that is not finite.
        output: usize,
        /// The predicted value, which is not finite.
        value: f64,
        /// The index of the explained row in the mixed row, or `None` if no feature was taken from an explained row.
        row: Option<usize>,
        /// The index of the background row in the mixed row, or `None` if no feature was taken from a background row.
        background_row: Option<usize>,
    },
    /// The model did not return one prediction for each row, or the number of outputs differs between its calls.
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
