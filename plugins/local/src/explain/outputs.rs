//! The one output of a model that is explained, as a matrix of numbers.

use mlflow_deploy_plugin_api::{Error, Result};
use ndarray::{Array2, ArrayD};

use super::element::numbers;
use mlflow_deploy_scoring::{Output, Tensor};

/// An output with a column for each number that the model gives a row.
#[derive(Debug, PartialEq)]
pub(crate) struct Explained {
    /// The output's name.
    pub(crate) name: String,
    /// The name of each column: that of the output, with a place or a label where there are several.
    pub(crate) columns: Vec<String>,
    /// row × column.
    pub(crate) values: Array2<f64>,
}

impl Explained {
    /// Takes the output that is asked for, and where none is, the first that has fractions: a classifier's
    /// probabilities and not its label. Where none has, the first of numbers.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where there is no such output, or it does not give every row its numbers.
    pub(crate) fn choose(outputs: Vec<(String, Output)>, wanted: Option<&str>, rows: usize) -> Result<Self> {
        let choices = outputs.iter().map(|(name, output)| format!("`{name}` ({})", kind(output))).collect::<Vec<_>>();
        let place = match wanted {
            Some(wanted) => outputs.iter().position(|(name, _)| name == wanted),
            None => ["fractions", "numbers"]
                .iter()
                .find_map(|wanted| outputs.iter().position(|(_, output)| kind(output) == *wanted)),
        };
        let refused =
            |why: &str| Error::invalid_parameter(format!("{why}: the model's outputs are {}", choices.join(", ")));
        let Some(place) = place else {
            return Err(match wanted {
                Some(wanted) => refused(&format!("the model has no output `{wanted}` to explain")),
                None => refused("only outputs of numbers can be explained"),
            });
        };
        let (name, output) = outputs.into_iter().nth(place).expect("the place has just been found");
        let columns = match &output {
            Output::Tensor(tensor) => {
                let numbers = numbers(tensor)
                    .ok_or_else(|| refused(&format!("the output `{name}` has no numbers, and cannot be explained")))?;
                places(&name, &numbers).zip(matrix(numbers, rows))
            }
            Output::Maps(maps) => labels(&name, maps).zip(of_maps(maps, rows)),
        };
        let (columns, values) =
            columns.ok_or_else(|| refused(&format!("the output `{name}` does not give each row as many numbers")))?;
        Ok(Self { name, columns, values })
    }
}

fn kind(output: &Output) -> &'static str {
    match output {
        Output::Maps(_) | Output::Tensor(Tensor::Float16(_) | Tensor::Float32(_) | Tensor::Float64(_)) => "fractions",
        Output::Tensor(Tensor::Binary(_) | Tensor::Datetime(_) | Tensor::String(_)) => "no numbers",
        Output::Tensor(_) => "numbers",
    }
}

fn places(name: &str, numbers: &ArrayD<f64>) -> Option<Vec<String>> {
    let width: usize = numbers.shape().get(1..)?.iter().product();
    Some(match width {
        1 => vec![name.to_owned()],
        width => (0..width).map(|place| format!("{name}[{place}]")).collect(),
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

fn labels(name: &str, maps: &[Vec<(String, f32)>]) -> Option<Vec<String>> {
    Some(maps.first()?.iter().map(|(label, _)| format!("{name}[{label}]")).collect())
}

/// The values of all maps in the order of the first one's keys.
fn of_maps(maps: &[Vec<(String, f32)>], rows: usize) -> Option<Array2<f64>> {
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
