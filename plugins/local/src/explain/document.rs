//! The result of the operation `explain` as JSON. The names of its fields and the order of its axes are those of the
//! Python package `shap`.

use mlflow_deploy_shapley::Attribution;
use ndarray::{ArrayView1, ArrayView2, Axis};
use serde::Serialize;
use serde_json::Value;

/// The result of the operation `explain`: Shapley values for each explained row.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainDocument {
    /// The method that computed the values: `exact` or `permutation`.
    pub(crate) method: &'static str,
    /// The number of feature orders that were sampled for each background row; `None` for the method `exact`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permutations: Option<usize>,
    /// The number of background rows that were used.
    pub(crate) background_rows: usize,
    /// The name of the model output that was explained.
    pub(crate) output: String,
    /// The names of the explained output's columns.
    pub(crate) output_names: Vec<String>,
    pub(crate) feature_names: Vec<String>,
    #[serde(flatten)]
    pub(crate) values: ShapleyValues,
    /// The values of the explained rows. The first index is the row, the second is the feature.
    pub(crate) data: Vec<Vec<Value>>,
}

/// The Shapley values, the predictions that they explain, and the means of both.
#[derive(Debug, Serialize)]
pub(crate) struct ShapleyValues {
    /// The mean prediction for the background rows, for each output column.
    base_values: Vec<f64>,
    /// The mean absolute Shapley value over all rows. The first index is the feature, the second is the output column.
    importance: Vec<Vec<f64>>,
    /// The predictions for the explained rows. The first index is the row, the second is the output column.
    predictions: Vec<Vec<f64>>,
    /// The Shapley values. The indexes are the row, the feature and the output column, in this order.
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
