//! Tables and arrays as inputs of `predict` and `explain`. See [`TableInputs`].

#[cfg(feature = "predictions")]
mod array;
#[cfg(feature = "predictions")]
mod batch;
#[cfg(feature = "predictions")]
mod cell;
#[cfg(feature = "csv")]
pub(crate) mod csv;
#[cfg(test)]
#[cfg(feature = "predictions")]
mod tests;

#[cfg(feature = "predictions")]
pub use array::InputElement;

use mlflow_deploy_plugin_api::{Error as TargetError, Payload};

/// Creates inputs from tables and arrays, in the JSON of MLflow's scoring protocol. Implemented for [`Payload`].
///
/// The dataframe of a [`PredictionsResponse`](crate::PredictionsResponse) can be an input:
///
#[cfg_attr(feature = "predictions", doc = "```")]
#[cfg_attr(not(feature = "predictions"), doc = "```ignore")]
/// use mlflow_deploy::inputs::TableInputs;
/// use mlflow_deploy::predictions::{arrow_array::RecordBatch, ndarray::arr2};
/// use mlflow_deploy::{Payload, PredictionsResponse};
///
/// # fn main() -> Result<(), mlflow_deploy::TargetError> {
/// let response = PredictionsResponse::from_json(r#"{"predictions": [{"a": 1, "b": "x"}, {"a": 2.5, "b": null}]}"#)?;
/// let table: RecordBatch = response.get_predictions()?;
/// let inputs = Payload::from_batch(&table)?;
/// let json = br#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, "x"], [2.5, null]]}}"#;
/// assert_eq!(inputs.bytes(), json);
///
/// let inputs = Payload::from_array(&arr2(&[[1_i8, 2], [3, 4]]));
/// assert_eq!(inputs.bytes(), br#"{"inputs": [[1, 2], [3, 4]]}"#);
/// # Ok(())
/// # }
/// ```
///
/// Source: `mlflow.pyfunc.scoring_server.client`, which writes a `pandas.DataFrame` as `dataframe_split` and a
/// `numpy.ndarray` as `inputs`.
pub trait TableInputs: Sized {
    /// Creates inputs from CSV with a header line. They are the CSV itself if the manifest accepts `text/csv`, or else
    /// `{"dataframe_split": {"columns": […], "data": […]}}`. Requires the cargo feature `csv`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the CSV has to be converted and cannot be read.
    #[cfg(feature = "csv")]
    fn from_csv(csv: impl Into<Vec<u8>>, manifest: &crate::manifest::Manifest) -> Result<Self, TargetError>;

    /// Writes a table as `{"dataframe_split": {"columns": […], "data": […]}}`. Requires the cargo feature
    /// `predictions`.
    ///
    /// Dates and times are written in ISO 8601, binary values in base64, and nulls as `null`. The column
    /// `__index_level_0__` becomes the `index`. The text in a column of the extension type `arrow.json` is written as
    /// the JSON value that it contains.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a column has a type without a JSON form, such as a decimal.
    #[cfg(feature = "predictions")]
    fn from_batch(table: &arrow_array::RecordBatch) -> Result<Self, TargetError>;

    /// Writes an array as `{"inputs": …}`, with nested lists for its dimensions. Requires the cargo feature
    /// `predictions`.
    #[cfg(feature = "predictions")]
    fn from_array<S, D>(array: &ndarray::ArrayBase<S, D>) -> Self
    where
        S: ndarray::Data<Elem: InputElement>,
        D: ndarray::Dimension;
}

impl TableInputs for Payload {
    #[cfg(feature = "csv")]
    fn from_csv(csv: impl Into<Vec<u8>>, manifest: &crate::manifest::Manifest) -> Result<Self, TargetError> {
        use mlflow_deploy_plugin_api::JSON;

        const CSV: &str = "text/csv";
        let csv = csv.into();
        if manifest.accepts_type(CSV) || !manifest.accepts_type(JSON) {
            return Ok(Self::new(CSV, csv));
        }
        let split = csv::dataframe_split(&csv);
        let failed = |reason| TargetError::invalid_parameter(format!("failed to read the input as CSV: {reason}"));
        split.map(|json| Self::new(JSON, json)).map_err(failed)
    }

    #[cfg(feature = "predictions")]
    fn from_batch(table: &arrow_array::RecordBatch) -> Result<Self, TargetError> {
        batch::payload(table)
    }

    #[cfg(feature = "predictions")]
    fn from_array<S, D>(array: &ndarray::ArrayBase<S, D>) -> Self
    where
        S: ndarray::Data<Elem: InputElement>,
        D: ndarray::Dimension,
    {
        array::payload(&array.view().into_dyn())
    }
}
