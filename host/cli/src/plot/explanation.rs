//! Parses an explanation and selects the row and the output to plot.

use serde::Deserialize;
use serde_json::Value;

use crate::args::PlotArguments;

/// The largest absolute value that an axis can show.
const MAX_MAGNITUDE: f64 = 1e100;

/// The members of an explanation that the plots need.
#[derive(Deserialize)]
#[serde(expecting = "an explanation")]
struct Explanation {
    output_names: Vec<String>,
    feature_names: Vec<String>,
    base_values: Vec<f64>,
    /// The mean absolute contribution of each feature to each output: `importance[feature][output]`.
    importance: Vec<Vec<f64>>,
    /// The prediction for each row and output: `predictions[row][output]`.
    predictions: Vec<Vec<f64>>,
    /// The contribution of each feature to each prediction: `values[row][feature][output]`.
    values: Vec<Vec<Vec<f64>>>,
    /// The value of each feature in each row: `data[row][feature]`.
    data: Vec<Vec<Value>>,
}

/// The part of an explanation to plot: one row and one output.
#[derive(Debug)]
pub(super) struct View {
    pub(super) output: String,
    pub(super) row: usize,
    /// The number of explained rows.
    pub(super) rows: usize,
    pub(super) base: f64,
    pub(super) prediction: f64,
    pub(super) features: Vec<Feature>,
}

/// A feature of the selected row.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) name: String,
    /// The value of the feature in the row.
    pub(super) cell: Value,
    /// The contribution of the feature to the prediction for the row.
    pub(super) value: f64,
    /// The mean absolute contribution of the feature over all rows.
    pub(super) importance: f64,
}

/// Parses an explanation and selects the requested row and output. The default is the output with the row's largest
/// prediction.
pub(super) fn read(json: &[u8], arguments: &PlotArguments) -> Result<View, String> {
    let explanation: Explanation = serde_json::from_slice(json).map_err(|error| invalid_format(&error.to_string()))?;
    explanation.check()?;
    let row = arguments.row;
    let rows = explanation.predictions.len();
    let Some(predictions) = explanation.predictions.get(row) else {
        return Err(format!("row {row} to plot does not exist: the explanation has {rows} rows, counted from 0"));
    };
    let names = &explanation.output_names;
    let output = match &arguments.output {
        Some(output) => names.iter().position(|name| name == output).ok_or_else(|| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("output `{output}` to plot does not exist: the explanation has {}", names.join(", "))
        })?,
        None => largest_output(predictions),
    };
    if let Some(value) = explanation.max_magnitude(row, output).filter(|value| *value > MAX_MAGNITUDE) {
        return Err(format!(
            "the explanation has values of magnitude {value:e}: the maximum that can be plotted is {MAX_MAGNITUDE:e}"
        ));
    }
    let features = explanation.feature_names.iter().enumerate().map(|(feature, name)| Feature {
        name: name.clone(),
        cell: explanation.data[row][feature].clone(),
        value: explanation.values[row][feature][output],
        importance: explanation.importance[feature][output],
    });
    Ok(View {
        output: names[output].clone(),
        row,
        rows,
        base: explanation.base_values[output],
        prediction: predictions[output],
        features: features.collect(),
    })
}

impl Explanation {
    /// Returns the largest absolute value in the plot of this row and output.
    fn max_magnitude(&self, row: usize, output: usize) -> Option<f64> {
        let values = self.values[row].iter().chain(&self.importance).map(|feature| feature[output]);
        let ends = [self.base_values[output], self.predictions[row][output]];
        values.chain(ends).map(f64::abs).max_by(f64::total_cmp)
    }

    /// Fails if a member of the explanation has the wrong dimensions.
    fn check(&self) -> Result<(), String> {
        let (rows, features, outputs) = (self.predictions.len(), self.feature_names.len(), self.output_names.len());
        let has_shape = |matrix: &[Vec<f64>], height, width| {
            matrix.len() == height && matrix.iter().all(|row: &Vec<f64>| row.len() == width)
        };
        let checks = [
            ("feature_names", features > 0),
            ("output_names", outputs > 0),
            ("base_values", self.base_values.len() == outputs),
            ("importance", has_shape(&self.importance, features, outputs)),
            ("predictions", has_shape(&self.predictions, rows, outputs)),
            ("values", self.values.len() == rows && self.values.iter().all(|row| has_shape(row, features, outputs))),
            ("data", self.data.len() == rows && self.data.iter().all(|row| row.len() == features)),
        ];
        match checks.into_iter().find(|(_, is_valid)| !is_valid) {
            Some((member, _)) => Err(invalid_format(&format!("`{member}` has the wrong dimensions"))),
            None => Ok(()),
        }
    }
}

fn largest_output(predictions: &[f64]) -> usize {
    let outputs = predictions.iter().enumerate().rev();
    outputs.max_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(0, |(output, _)| output)
}

fn invalid_format(cause: &str) -> String {
    format!(
        "cannot plot the result: expected an explanation in the format of the target `local`, with `values`, \
         `base_values`, `importance` and other members: {cause}"
    )
}
