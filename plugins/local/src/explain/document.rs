//! The answer as JSON. Its members have the names and axes that the Python package `shap` gives them.

use mlflow_deploy_shapley::Attribution;
use ndarray::{ArrayView1, ArrayView2, Axis};
use serde::Serialize;
use serde_json::Value;

/// An explanation of some rows.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    /// `exact` or `permutation`.
    pub(crate) method: &'static str,
    /// How many orders of the features were tried for each row of the background; none where the values are exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permutations: Option<usize>,
    /// How many rows of background the predictions are compared with.
    pub(crate) background_rows: usize,
    /// The output of the model that is explained.
    pub(crate) output: String,
    /// Its columns.
    pub(crate) output_names: Vec<String>,
    pub(crate) feature_names: Vec<String>,
    #[serde(flatten)]
    pub(crate) numbers: Numbers,
    /// The rows: row × feature.
    pub(crate) data: Vec<Vec<Value>>,
}

/// What was computed.
#[derive(Debug, Serialize)]
pub(crate) struct Numbers {
    /// The mean prediction over the background, for each output.
    base_values: Vec<f64>,
    /// The mean absolute value over the rows: feature × output.
    importance: Vec<Vec<f64>>,
    /// row × output.
    predictions: Vec<Vec<f64>>,
    /// row × feature × output.
    values: Vec<Vec<Vec<f64>>>,
}

impl From<Attribution> for Numbers {
    fn from(attribution: Attribution) -> Self {
        Self {
            base_values: attribution.base.to_vec(),
            importance: rows(attribution.importance().view()),
            predictions: rows(attribution.predictions.view()),
            values: attribution.values.axis_iter(Axis(0)).map(rows).collect(),
        }
    }
}

fn rows(matrix: ArrayView2<'_, f64>) -> Vec<Vec<f64>> {
    matrix.rows().into_iter().map(|row: ArrayView1<'_, f64>| row.to_vec()).collect()
}
