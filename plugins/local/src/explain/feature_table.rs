//! The explained rows and the background rows, as one table with a column for each feature.
//!
//! A column of single values is one feature. In a tensor with several dimensions, each element of a row is a feature.

use std::num::NonZeroUsize;

use mlflow_deploy_plugin_api::{Error, Result};
use ndarray::{Array2, Axis};
use serde_json::Value;

use super::element;
use mlflow_deploy_scoring::{Inputs, Tensor};

/// A table of the explained rows and the background rows. The method [`Self::pick`] mixes new rows from their values.
pub(crate) struct FeatureTable {
    form: InputForm,
    columns: Vec<FeatureColumn>,
    rows: usize,
    background: usize,
    /// For each feature, the index of its column, and the index of its element in a row of that column.
    features: Vec<(usize, usize)>,
}

/// The variant of [`Inputs`] from which a table was made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InputForm {
    Frame,
    Named,
    Single,
}

/// A column of a dataframe, or a tensor. It contains the values of one or more features.
struct FeatureColumn {
    /// The name of the column or tensor; empty for inputs that are a single tensor.
    name: String,
    /// The values of the explained rows, followed by those of the background rows.
    cells: Tensor,
    /// The number of elements in one row.
    width: usize,
}

impl FeatureTable {
    /// Joins the explained rows and at most `limit` background rows. Draws the background rows at random with `seed` if
    /// there are more. Drops columns that only the background has.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the inputs and the background have different columns or types, or if a column
    /// contains values other than numbers, booleans and strings.
    pub(crate) fn new(explained: Inputs, background: Inputs, limit: NonZeroUsize, seed: u64) -> Result<Self> {
        let (form, explained) = parts(explained);
        let (background_form, background) = parts(background);
        if form != background_form {
            return Err(Error::invalid_parameter(format!(
                "the background is {}, but the inputs are {}: both must have the same form",
                background_form.name(),
                form.name()
            )));
        }
        let (rows, background_rows) = (count_rows(&explained, "inputs")?, count_rows(&background, "background")?);
        let drawn = draw_rows(background_rows, limit.get(), seed);
        let mut columns = Vec::with_capacity(explained.len());
        for (name, tensor) in explained {
            let Some((_, background)) = background.iter().find(|(other, _)| *other == name) else {
                return Err(Error::invalid_parameter(format!("the background has no {}", quote_column(&name))));
            };
            let width = tensor.shape().iter().skip(1).product();
            columns.push(FeatureColumn { cells: join_column(&name, &tensor, background, &drawn)?, name, width });
        }
        let numbered = columns.iter().enumerate();
        let features =
            numbered.flat_map(|(column, cells)| (0..cells.width).map(move |index| (column, index))).collect();
        Ok(Self { form, columns, rows, background: drawn.len(), features })
    }

    /// Returns the number of explained rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of background rows, which follow the explained rows.
    pub(crate) fn background_rows(&self) -> usize {
        self.background
    }

    /// Returns the number of features.
    pub(crate) fn features(&self) -> usize {
        self.features.len()
    }

    /// Returns the name of each feature. The name is that of the feature's column. If the column has several elements
    /// in a row, the name ends with the index of the element, such as `x[2]` or `[0, 3]`.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |(column, index): &(usize, usize)| {
            let FeatureColumn { name, cells, .. } = &self.columns[*column];
            match cells.shape() {
                [_] => name.clone(),
                shape => format!("{name}[{}]", unravel_index(*index, &shape[1..])),
            }
        };
        self.features.iter().map(name).collect()
    }

    /// Returns true if the rows `one` and `other` have the same value of a feature.
    pub(crate) fn is_same(&self, feature: usize, one: usize, other: usize) -> bool {
        let (column, index) = self.features[feature];
        let FeatureColumn { cells, width, .. } = &self.columns[column];
        element::is_same(cells, one * width + index, other * width + index)
    }

    /// Returns the values of the explained rows as JSON. The first index is the row, the second is the feature.
    pub(crate) fn data(&self) -> Vec<Vec<Value>> {
        let cell = |row: usize, (column, index): &(usize, usize)| {
            let FeatureColumn { cells, width, .. } = &self.columns[*column];
            element::json(cells, row * width + index)
        };
        (0..self.rows).map(|row| self.features.iter().map(|feature| cell(row, feature)).collect()).collect()
    }

    /// Returns model inputs whose rows are mixed from the rows of the table. The value of `feature` in row `row` of the
    /// result is its value in row `picks[[row, feature]]` of the table.
    pub(crate) fn pick(&self, picks: &Array2<usize>) -> Inputs {
        let mut rest = picks.view();
        let mut picked = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let (own, others) = rest.split_at(Axis(1), column.width);
            rest = others;
            let tensor =
                element::pick(&column.cells, own).expect("join_column returns only types that can be explained");
            picked.push((column.name.clone(), tensor));
        }
        match self.form {
            InputForm::Frame => Inputs::Frame(picked),
            InputForm::Named => Inputs::Named(picked),
            InputForm::Single => Inputs::Single(picked.swap_remove(0).1),
        }
    }
}

impl InputForm {
    fn name(self) -> &'static str {
        match self {
            Self::Frame => "a dataframe",
            Self::Named => "tensors with names",
            Self::Single => "one tensor",
        }
    }
}

fn parts(inputs: Inputs) -> (InputForm, Vec<(String, Tensor)>) {
    match inputs {
        Inputs::Frame(columns) => (InputForm::Frame, columns),
        Inputs::Named(tensors) => (InputForm::Named, tensors),
        Inputs::Single(tensor) => (InputForm::Single, vec![(String::new(), tensor)]),
    }
}

/// Returns the number of rows. Fails if the columns have different numbers of rows. `part` names the inputs or the
/// background in the error message.
fn count_rows(columns: &[(String, Tensor)], part: &str) -> Result<usize> {
    let mut rows = None;
    for (name, tensor) in columns {
        let Some(length) = tensor.shape().first() else {
            let message = format!("{} of the {part} is a single value: expected rows", quote_column(name));
            return Err(Error::invalid_parameter(message));
        };
        if *rows.get_or_insert(*length) != *length {
            return Err(Error::invalid_parameter(format!("the {part} have columns of different lengths")));
        }
    }
    rows.ok_or_else(|| Error::invalid_parameter(format!("the {part} have no columns: there is nothing to explain")))
}

/// Draws at most `limit` of `rows` rows at random. Returns the indexes of the drawn rows in ascending order.
fn draw_rows(rows: usize, limit: usize, seed: u64) -> Vec<usize> {
    let mut drawn: Vec<usize> = (0..rows).collect();
    if rows > limit {
        fastrand::Rng::with_seed(seed).shuffle(&mut drawn);
        drawn.truncate(limit);
        drawn.sort_unstable();
    }
    drawn
}

fn join_column(name: &str, explained: &Tensor, background: &Tensor, drawn: &[usize]) -> Result<Tensor> {
    if let Some(joined) = element::join(explained, background, drawn) {
        return Ok(joined);
    }
    // Without a signature, the number types are inferred and may differ.
    if let (Some(one), Some(other)) = (element::numbers(explained), element::numbers(background))
        && let Some(joined) = element::join(&Tensor::Float64(one), &Tensor::Float64(other), drawn)
    {
        return Ok(joined);
    }
    if matches!(explained, Tensor::Binary(_) | Tensor::Datetime(_)) {
        return Err(Error::invalid_parameter(format!(
            "{} has type {}: only numbers, booleans and strings can be explained",
            quote_column(name),
            explained.dtype()
        )));
    }
    let describe = |tensor: &Tensor| format!("{} of shape {:?}", tensor.dtype(), tensor.shape());
    Err(Error::invalid_parameter(format!(
        "{} is {} in the background and {} in the inputs: only the number of rows may differ",
        quote_column(name),
        describe(background),
        describe(explained)
    )))
}

fn quote_column(name: &str) -> String {
    if name.is_empty() { "the tensor".to_owned() } else { format!("`{name}`") }
}

/// Converts a row-major index to one index for each dimension, separated by commas.
fn unravel_index(mut position: usize, shape: &[usize]) -> String {
    let mut indices = vec![String::new(); shape.len()];
    for (index, size) in indices.iter_mut().zip(shape).rev() {
        *index = (position % size).to_string();
        position /= size;
    }
    indices.join(", ")
}
