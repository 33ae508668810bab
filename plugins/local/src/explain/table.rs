//! The rows that are explained and those of the background, as one table of features.
//!
//! A column of single values is one feature; of an array with more dimensions, each place in a row is one.

use std::num::NonZeroUsize;

use mlflow_deploy_plugin_api::{Error, Result};
use ndarray::{Array2, Axis};
use serde_json::Value;

use super::element;
use mlflow_deploy_scoring::{Inputs, Tensor};

/// Rows of a model's inputs, of which new rows can be put together.
pub(crate) struct Table {
    form: Form,
    columns: Vec<Column>,
    rows: usize,
    background: usize,
    /// Of each feature: its column, and its place in the column's rows.
    features: Vec<(usize, usize)>,
}

/// Which kind of inputs a table was made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Frame,
    Named,
    Single,
}

/// A column of a frame, or a tensor.
struct Column {
    /// Empty for the only tensor of a model.
    name: String,
    /// The rows that are explained, and then the background's.
    cells: Tensor,
    /// Elements of a row.
    width: usize,
}

impl Table {
    /// Joins the inputs that are explained and the background, of which at most so many rows are drawn by the seed.
    /// Columns that only the background has are left out.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the two do not fit together, or have something else than numbers, truth values
    /// and texts.
    pub(crate) fn new(explained: Inputs, background: Inputs, most: NonZeroUsize, seed: u64) -> Result<Self> {
        let (form, explained) = parts(explained);
        let (other, background) = parts(background);
        if form != other {
            return Err(Error::invalid_parameter(format!(
                "the background is {}, and the inputs are {}: give both in one form",
                other.what(),
                form.what()
            )));
        }
        let (rows, behind) = (count(&explained, "inputs")?, count(&background, "background")?);
        let drawn = draw(behind, most.get(), seed);
        let mut columns = Vec::with_capacity(explained.len());
        for (name, tensor) in explained {
            let Some((_, behind)) = background.iter().find(|(other, _)| *other == name) else {
                return Err(Error::invalid_parameter(format!("the background has no {}", shown(&name))));
            };
            let width = tensor.shape().iter().skip(1).product();
            columns.push(Column { cells: joined(&name, &tensor, behind, &drawn)?, name, width });
        }
        let places = columns.iter().enumerate();
        let features = places.flat_map(|(column, cells)| (0..cells.width).map(move |place| (column, place))).collect();
        Ok(Self { form, columns, rows, background: drawn.len(), features })
    }

    /// How many rows are explained.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many rows the background has; they come after those that are explained.
    pub(crate) fn background(&self) -> usize {
        self.background
    }

    /// How many features a row has.
    pub(crate) fn features(&self) -> usize {
        self.features.len()
    }

    /// The name of each feature: the column's, and in arrays with the place, such as `x[2]` or `[0, 3]`.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |(column, place): &(usize, usize)| {
            let Column { name, cells, .. } = &self.columns[*column];
            match cells.shape() {
                [_] => name.clone(),
                shape => format!("{name}[{}]", place_in(*place, &shape[1..])),
            }
        };
        self.features.iter().map(name).collect()
    }

    /// Whether two rows have the same value of a feature.
    pub(crate) fn is_same(&self, feature: usize, one: usize, other: usize) -> bool {
        let (column, place) = self.features[feature];
        let Column { cells, width, .. } = &self.columns[column];
        element::is_same(cells, one * width + place, other * width + place)
    }

    /// The values of the rows that are explained: row × feature.
    pub(crate) fn data(&self) -> Vec<Vec<Value>> {
        let cell = |row: usize, (column, place): &(usize, usize)| {
            let Column { cells, width, .. } = &self.columns[*column];
            element::json(cells, row * width + place)
        };
        (0..self.rows).map(|row| self.features.iter().map(|feature| cell(row, feature)).collect()).collect()
    }

    /// New rows: `picks` says for each, and for every feature, which row the value is from.
    pub(crate) fn pick(&self, picks: &Array2<usize>) -> Inputs {
        let mut rest = picks.view();
        let mut picked = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let (own, others) = rest.split_at(Axis(1), column.width);
            rest = others;
            let tensor = element::pick(&column.cells, own).expect("a column has only what can be picked");
            picked.push((column.name.clone(), tensor));
        }
        match self.form {
            Form::Frame => Inputs::Frame(picked),
            Form::Named => Inputs::Named(picked),
            Form::Single => Inputs::Single(picked.swap_remove(0).1),
        }
    }
}

impl Form {
    fn what(self) -> &'static str {
        match self {
            Self::Frame => "a dataframe",
            Self::Named => "tensors with names",
            Self::Single => "one tensor",
        }
    }
}

fn parts(inputs: Inputs) -> (Form, Vec<(String, Tensor)>) {
    match inputs {
        Inputs::Frame(columns) => (Form::Frame, columns),
        Inputs::Named(tensors) => (Form::Named, tensors),
        Inputs::Single(tensor) => (Form::Single, vec![(String::new(), tensor)]),
    }
}

/// How many rows all columns have.
fn count(columns: &[(String, Tensor)], of: &str) -> Result<usize> {
    let mut rows = None;
    for (name, tensor) in columns {
        let Some(own) = tensor.shape().first() else {
            let message = format!("{} of the {of} is a single value: expected rows", shown(name));
            return Err(Error::invalid_parameter(message));
        };
        if *rows.get_or_insert(*own) != *own {
            return Err(Error::invalid_parameter(format!("the {of} have columns of different lengths")));
        }
    }
    rows.ok_or_else(|| Error::invalid_parameter(format!("the {of} have no columns: there is nothing to explain")))
}

/// Some rows of all, in their order, or all of them.
fn draw(rows: usize, most: usize, seed: u64) -> Vec<usize> {
    let mut drawn: Vec<usize> = (0..rows).collect();
    if rows > most {
        fastrand::Rng::with_seed(seed).shuffle(&mut drawn);
        drawn.truncate(most);
        drawn.sort_unstable();
    }
    drawn
}

fn joined(name: &str, explained: &Tensor, background: &Tensor, drawn: &[usize]) -> Result<Tensor> {
    if let Some(joined) = element::join(explained, background, drawn) {
        return Ok(joined);
    }
    // Without a signature, the type of numbers is what they look like.
    if let (Some(one), Some(other)) = (element::numbers(explained), element::numbers(background))
        && let Some(joined) = element::join(&Tensor::Float64(one), &Tensor::Float64(other), drawn)
    {
        return Ok(joined);
    }
    if matches!(explained, Tensor::Binary(_) | Tensor::Datetime(_)) {
        return Err(Error::invalid_parameter(format!(
            "{} is of type {}: only numbers, truth values and texts can be explained",
            shown(name),
            explained.dtype()
        )));
    }
    let form = |tensor: &Tensor| format!("{} of shape {:?}", tensor.dtype(), tensor.shape());
    Err(Error::invalid_parameter(format!(
        "{} is {} in the background and {} in the inputs: they have to be alike in all but the number of rows",
        shown(name),
        form(background),
        form(explained)
    )))
}

fn shown(name: &str) -> String {
    if name.is_empty() { "the tensor".to_owned() } else { format!("`{name}`") }
}

/// A place in the order of memory as one index for each dimension.
fn place_in(mut place: usize, shape: &[usize]) -> String {
    let mut indices = vec![String::new(); shape.len()];
    for (index, size) in indices.iter_mut().zip(shape).rev() {
        *index = (place % size).to_string();
        place /= size;
    }
    indices.join(", ")
}
