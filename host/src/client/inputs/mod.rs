//! Tables and arrays as inputs of `predict` and `explain`, as they come out of
//! [`PredictionsResponse`](crate::PredictionsResponse).
//!
//! ```
//! use mlflow_deploy::inputs::TableInputs;
//! use mlflow_deploy::predictions::{arrow_array::RecordBatch, ndarray::arr2};
//! use mlflow_deploy::{Payload, PredictionsResponse};
//!
//! # fn main() -> Result<(), mlflow_deploy::TargetError> {
//! let response = PredictionsResponse::from_json(r#"{"predictions": [{"a": 1, "b": "x"}, {"a": 2.5, "b": null}]}"#)?;
//! let table: RecordBatch = response.get_predictions()?;
//! let inputs = Payload::from_batch(&table)?;
//! let json = br#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, "x"], [2.5, null]]}}"#;
//! assert_eq!(inputs.bytes(), json);
//!
//! let inputs = Payload::from_array(&arr2(&[[1_i8, 2], [3, 4]]));
//! assert_eq!(inputs.bytes(), br#"{"inputs": [[1, 2], [3, 4]]}"#);
//! # Ok(())
//! # }
//! ```

mod array;
mod batch;
mod cell;
#[cfg(test)]
mod tests;

pub use array::InputElement;

use arrow_array::RecordBatch;
use mlflow_deploy_plugin_api::{Error as TargetError, Payload};
use ndarray::{ArrayBase, Data, Dimension};

/// Creates inputs from tables and arrays, in the JSON of MLflow's scoring protocol. Implemented for [`Payload`].
///
/// Source: `mlflow.pyfunc.scoring_server.client`, which writes a `pandas.DataFrame` as `dataframe_split` and a
/// `numpy.ndarray` as `inputs`.
pub trait TableInputs: Sized {
    /// Writes a table as `{"dataframe_split": {"columns": […], "data": […]}}`.
    ///
    /// Dates and times are ISO 8601, binary values are base64, and a null is `null`. A column `__index_level_0__` becomes the
    /// `index`, and a column of the extension type `arrow.json` the value of its text.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a column has a type without a JSON form, such as a decimal.
    fn from_batch(table: &RecordBatch) -> Result<Self, TargetError>;

    /// Writes an array as `{"inputs": …}`, with a list for each dimension.
    fn from_array<S, D>(array: &ArrayBase<S, D>) -> Self
    where
        S: Data<Elem: InputElement>,
        D: Dimension;
}

impl TableInputs for Payload {
    fn from_batch(table: &RecordBatch) -> Result<Self, TargetError> {
        batch::payload(table)
    }

    fn from_array<S, D>(array: &ArrayBase<S, D>) -> Self
    where
        S: Data<Elem: InputElement>,
        D: Dimension,
    {
        array::payload(&array.view().into_dyn())
    }
}
