//! The answer as JSON, with the names and axes of the Python package `shap`.

use mlflow_deploy_shapley::Attribution;
use ndarray::{ArrayView1, ArrayView2, Axis};
use serde::Serialize;
use serde_json::Value;

/// An explanation of some rows.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainDocument {
    /// `exact` or `permutation`.
    pub(crate) method: &'static str,
    /// The number of orders of the features for each background row; `None` for exact values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permutations: Option<usize>,
    /// The number of background rows.
    pub(crate) background_rows: usize,
    /// The explained output of the model.
    pub(crate) output: String,
    /// The names of the columns of the output.
    pub(crate) output_names: Vec<String>,
    pub(crate) feature_names: Vec<String>,
    #[serde(flatten)]
    pub(crate) values: ShapleyValues,
    /// The explained rows: row × feature.
    pub(crate) data: Vec<Vec<Value>>,
}

/// The computed values.
#[derive(Debug, Serialize)]
pub(crate) struct ShapleyValues {
    /// The mean prediction over the background, for each output.
    base_values: Vec<f64>,
    /// The mean absolute value over the rows: feature × output.
    importance: Vec<Vec<f64>>,
    /// The predictions: row × output.
    predictions: Vec<Vec<f64>>,
    /// The Shapley values: row × feature × output.
    values: Vec<Vec<Vec<f64>>>,
}

impl From<Attribution> for ShapleyValues {
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
