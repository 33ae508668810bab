//! Selects the output to explain, and converts it to a matrix of numbers.

use mlflow_deploy_plugin_api::{Error, Result};
use ndarray::{Array2, ArrayD};

use super::element::numbers;
use mlflow_deploy_scoring::{Output, Tensor};

/// The model output to explain, as a matrix of numbers. A row of the matrix contains all numbers of the output's row.
#[derive(Debug, PartialEq)]
pub(crate) struct ExplainedOutput {
    /// The name of the model output.
    pub(crate) name: String,
    /// The name of each column: the name of the output. If there are several columns, an index or label follows in
    /// brackets.
    pub(crate) columns: Vec<String>,
    /// The numbers of the output. The first index is the row, the second is the column.
    pub(crate) values: Array2<f64>,
}

impl ExplainedOutput {
    /// Returns the output `requested`. The default is the first output that contains floats, so that a classifier's
    /// probabilities are preferred to its label. If no output contains floats, the default is the first output of
    /// integers or booleans.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the output does not exist, does not contain numbers, or does not have the same
    /// number of values in every row.
    pub(crate) fn choose(outputs: Vec<(String, Output)>, requested: Option<&str>, rows: usize) -> Result<Self> {
        let choices = outputs.iter().map(|(name, output)| format!("`{name}` ({})", kind(output))).collect::<Vec<_>>();
        let index = match requested {
            Some(requested) => outputs.iter().position(|(name, _)| name == requested),
            None => ["floats", "integers or booleans"]
                .iter()
                .find_map(|preferred| outputs.iter().position(|(_, output)| kind(output) == *preferred)),
        };
        let failed = |reason: &str| {
            Error::invalid_parameter(format!("{reason}: the model's outputs are {}", choices.join(", ")))
        };
        let Some(index) = index else {
            return Err(match requested {
                Some(requested) => failed(&format!("the model has no output `{requested}`")),
                None => failed("only outputs of numbers can be explained"),
            });
        };
        let (name, output) = outputs.into_iter().nth(index).expect("the index was just found");
        let columns = match &output {
            Output::Tensor(tensor) => {
                let numbers = numbers(tensor)
                    .ok_or_else(|| failed(&format!("the output `{name}` has no numbers and cannot be explained")))?;
                indexed_names(&name, &numbers).zip(matrix(numbers, rows))
            }
            Output::Maps(maps) => labelled_names(&name, maps).zip(map_matrix(maps, rows)),
        };
        let (columns, values) = columns.ok_or_else(|| {
            failed(&format!("the output `{name}` does not have the same number of values for every row"))
        })?;
        Ok(Self { name, columns, values })
    }
}

fn kind(output: &Output) -> &'static str {
    match output {
        Output::Maps(_) | Output::Tensor(Tensor::Float16(_) | Tensor::Float32(_) | Tensor::Float64(_)) => "floats",
        Output::Tensor(Tensor::Binary(_) | Tensor::Datetime(_) | Tensor::String(_)) => "no numbers",
        Output::Tensor(_) => "integers or booleans",
    }
}

fn indexed_names(name: &str, numbers: &ArrayD<f64>) -> Option<Vec<String>> {
    let width: usize = numbers.shape().get(1..)?.iter().product();
    Some(match width {
        1 => vec![name.to_owned()],
        width => (0..width).map(|index| format!("{name}[{index}]")).collect(),
    })
}

fn matrix(numbers: ArrayD<f64>, rows: usize) -> Option<Array2<f64>> {
    let width: usize = numbers.shape().get(1..)?.iter().product();
    if numbers.shape()[0] != rows {
        return None;
    }
    let elements = numbers.as_standard_layout().iter().copied().collect();
    Array2::from_shape_vec((rows, width), elements).ok()
}

fn labelled_names(name: &str, maps: &[Vec<(String, f32)>]) -> Option<Vec<String>> {
    Some(maps.first()?.iter().map(|(label, _)| format!("{name}[{label}]")).collect())
}

/// Returns a matrix with the values of one map in each row. The columns have the order of the keys in the first map.
/// Returns `None` if the maps have different keys, or if there are more or fewer than `rows` maps.
fn map_matrix(maps: &[Vec<(String, f32)>], rows: usize) -> Option<Array2<f64>> {
    let first = maps.first()?;
    if maps.len() != rows || maps.iter().any(|map| map.len() != first.len()) {
        return None;
    }
    let value = |map: &[(String, f32)], label: &str| {
        map.iter().find(|(other, _)| other == label).map(|(_, value)| f64::from(*value))
    };
    let values = maps.iter().flat_map(|map| first.iter().map(|(label, _)| value(map, label)));
    Array2::from_shape_vec((rows, first.len()), values.collect::<Option<_>>()?).ok()
}
