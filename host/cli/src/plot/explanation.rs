//! What is drawn of an answer: one row and one of the model's outputs.

use serde::Deserialize;
use serde_json::Value;

use crate::args::PlotArguments;

/// Numbers beyond it have no axis.
const MAX_MAGNITUDE: f64 = 1e100;

/// The members of an answer that are drawn.
#[derive(Deserialize)]
#[serde(expecting = "an explanation")]
struct Explanation {
    output_names: Vec<String>,
    feature_names: Vec<String>,
    base_values: Vec<f64>,
    /// feature × output.
    importance: Vec<Vec<f64>>,
    /// row × output.
    predictions: Vec<Vec<f64>>,
    /// row × feature × output.
    values: Vec<Vec<Vec<f64>>>,
    /// row × feature.
    data: Vec<Vec<Value>>,
}

/// One output, and one row of it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) output: String,
    pub(super) row: usize,
    /// How many rows were explained.
    pub(super) rows: usize,
    pub(super) base: f64,
    pub(super) prediction: f64,
    pub(super) features: Vec<Feature>,
}

/// A feature of the row.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) name: String,
    /// What the row has there.
    pub(super) cell: Value,
    /// What it adds to the prediction.
    pub(super) value: f64,
    /// The mean absolute value over all rows.
    pub(super) importance: f64,
}

/// Reads an answer, and chooses: the row that is asked for, and the output that is asked for, or the row's largest.
pub(super) fn read(answer: &[u8], arguments: &PlotArguments) -> Result<View, String> {
    let explanation: Explanation = serde_json::from_slice(answer).map_err(|error| other_shape(&error.to_string()))?;
    explanation.check()?;
    let row = arguments.row;
    let rows = explanation.predictions.len();
    let Some(predictions) = explanation.predictions.get(row) else {
        return Err(format!("there is no row {row} to plot: the answer explains {rows}, counted from 0"));
    };
    let names = &explanation.output_names;
    let output = match &arguments.output {
        Some(wanted) => names.iter().position(|name| name == wanted).ok_or_else(|| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("there is no output `{wanted}` to plot: the answer explains {}", names.join(", "))
        })?,
        None => largest(predictions),
    };
    if let Some(large) = explanation.largest(row, output).filter(|large| *large > MAX_MAGNITUDE) {
        return Err(format!(
            "the explanation has numbers of the size {large:e}, and only up to {MAX_MAGNITUDE:e} can be plotted"
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
    /// The largest absolute number that is drawn.
    fn largest(&self, row: usize, output: usize) -> Option<f64> {
        let values = self.values[row].iter().chain(&self.importance).map(|feature| feature[output]);
        let ends = [self.base_values[output], self.predictions[row][output]];
        values.chain(ends).map(f64::abs).max_by(f64::total_cmp)
    }

    /// Sees to it that all members have the axes that they should.
    fn check(&self) -> Result<(), String> {
        let (rows, features, outputs) = (self.predictions.len(), self.feature_names.len(), self.output_names.len());
        let wide = |matrix: &[Vec<f64>], height, width| {
            matrix.len() == height && matrix.iter().all(|row: &Vec<f64>| row.len() == width)
        };
        let is_right = [
            ("feature_names", features > 0),
            ("output_names", outputs > 0),
            ("base_values", self.base_values.len() == outputs),
            ("importance", wide(&self.importance, features, outputs)),
            ("predictions", wide(&self.predictions, rows, outputs)),
            ("values", self.values.len() == rows && self.values.iter().all(|row| wide(row, features, outputs))),
            ("data", self.data.len() == rows && self.data.iter().all(|row| row.len() == features)),
        ];
        match is_right.into_iter().find(|(_, is_right)| !is_right) {
            Some((member, _)) => Err(other_shape(&format!("`{member}` has another size"))),
            None => Ok(()),
        }
    }
}

fn largest(predictions: &[f64]) -> usize {
    let outputs = predictions.iter().enumerate().rev();
    outputs.max_by(|(_, one), (_, other)| one.total_cmp(other)).map_or(0, |(output, _)| output)
}

fn other_shape(why: &str) -> String {
    format!(
        "the answer cannot be plotted: it is no explanation as the target `local` gives it, with `values`, \
         `base_values`, `importance` and others: {why}"
    )
}
