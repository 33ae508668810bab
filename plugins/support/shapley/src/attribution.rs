//! Computes the Shapley value of each feature for each explained row. Mixes the features of explained rows and
//! background rows, predicts the mixed rows in batches, and sums the predictions.

use std::ops::Range;

use ndarray::{Array1, Array2, Array3, ArrayView1, Axis, concatenate};

use crate::error::AttributionError;
use crate::method::Method;
use crate::term::Term;

/// The maximum number of rows in a batch. It is large enough for a fast prediction, and limits the memory of a batch.
const MAX_BATCH_ROWS: usize = 4096;

/// The maximum number of cells in a batch. A batch has more cells only if a single row has more.
const MAX_BATCH_CELLS: usize = 1 << 20;

/// A model and a table of rows. The model predicts mixed rows, each cell of which is taken from a row of the table.
///
/// The table has a column for each feature. Its first rows are the explained rows, and the others are the background
/// rows.
pub trait RowPredictor: Sync {
    /// The error type of a failed prediction.
    type Error;

    /// Returns the number of explained rows in the table.
    fn rows(&self) -> usize;

    /// Returns the number of background rows in the table.
    fn background_rows(&self) -> usize;

    /// Returns the number of features, which is the number of columns in the table.
    fn features(&self) -> usize;

    /// Returns true if the rows `one` and `other` of the table have the same value in the column `feature`.
    fn is_same(&self, feature: usize, one: usize, other: usize) -> bool;

    /// Predicts mixed rows. The value of the feature `feature` in the mixed row `row` is taken from the row
    /// `picks[[row, feature]]` of the table. Returns the predictions by row and output. Every call has to return the
    /// same number of outputs.
    fn predict(&self, picks: Array2<usize>) -> impl Future<Output = Result<Array2<f64>, Self::Error>> + Send;

    /// Reports progress. Is called after each explained row, with the number of finished rows and the number of all
    /// explained rows.
    fn progress(&self, _done: usize, _all: usize) {}
}

/// The contribution of each feature to each prediction, as Shapley values.
#[derive(Debug)]
pub struct Attribution {
    /// The mean prediction for the background rows, by output.
    pub base: Array1<f64>,
    /// The predictions for the explained rows, by row and output.
    pub predictions: Array2<f64>,
    /// The contribution of each feature to a prediction, by row, feature and output. The contributions of all features
    /// to a prediction sum to the prediction minus `base`.
    pub values: Array3<f64>,
}

impl Attribution {
    /// Computes the contributions of all features to the predictions of all explained rows.
    ///
    /// # Errors
    /// Fails if a prediction fails or is not finite, or if the explained rows or the background rows are empty.
    pub async fn compute<M: RowPredictor>(model: &M, method: &Method) -> Result<Self, AttributionError<M::Error>> {
        if model.rows() == 0 {
            return Err(AttributionError::NoRows);
        }
        if model.background_rows() == 0 {
            return Err(AttributionError::NoBackground);
        }
        let table = predict_table(model).await?;
        let (predictions, backgrounds) = table.view().split_at(Axis(0), model.rows());
        let base = backgrounds.mean_axis(Axis(0)).expect("there is a background row");
        let mut batch = Batch::new(model, table.ncols());
        let mut term = Term::default();
        for row in 0..model.rows() {
            for background in 0..model.background_rows() {
                let background_row = model.rows() + background;
                let is_different = |feature: &usize| !model.is_same(*feature, row, background_row);
                let varying: Vec<usize> = (0..model.features()).filter(is_different).collect();
                let mut terms = method.terms(&varying, background);
                while terms.next(&mut term) {
                    if term.members.is_empty() {
                        batch.add(row, &term, table.row(background_row));
                    } else if term.members.len() == varying.len() {
                        batch.add(row, &term, table.row(row));
                    } else if batch.push(row, background_row, &term) {
                        batch.predict().await?;
                    }
                }
            }
            model.progress(row + 1, model.rows());
        }
        batch.predict().await?;
        let shape = (model.rows(), model.features(), table.ncols());
        let mut values = Array3::from_shape_vec(shape, batch.values).expect("the batch has this many values");
        #[expect(clippy::cast_precision_loss, reason = "the number of rows is far below 2^52")]
        let mean = 1.0 / model.background_rows() as f64;
        values *= mean;
        Ok(Self { base, predictions: predictions.to_owned(), values })
    }

    /// Returns the mean absolute contribution over all explained rows, by feature and output.
    pub fn importance(&self) -> Array2<f64> {
        self.values.mapv(f64::abs).mean_axis(Axis(0)).expect("there is a row")
    }
}

/// Predicts every row of the model's table. Returns the predictions by row and output.
async fn predict_table<M: RowPredictor>(model: &M) -> Result<Array2<f64>, AttributionError<M::Error>> {
    let all = model.rows() + model.background_rows();
    let size = batch_rows(model);
    let mut parts = Vec::new();
    for start in (0..all).step_by(size) {
        let rows: Range<usize> = start..all.min(start + size);
        let picks = Array2::from_shape_fn((rows.len(), model.features()), |(row, _)| start + row);
        parts.push(predict_checked(model, picks).await?);
    }
    let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &parts).map_err(|_shape| AttributionError::UnevenPredictions)
}

/// Predicts mixed rows. Fails if the number of predictions is wrong, or if a prediction is not finite.
async fn predict_checked<M: RowPredictor>(
    model: &M,
    picks: Array2<usize>,
) -> Result<Array2<f64>, AttributionError<M::Error>> {
    let predictions = model.predict(picks.clone()).await.map_err(AttributionError::Model)?;
    check_predictions(model, &picks, &predictions)?;
    Ok(predictions)
}

fn batch_rows(model: &impl RowPredictor) -> usize {
    (MAX_BATCH_CELLS / model.features().max(1)).clamp(1, MAX_BATCH_ROWS)
}

/// The mixed rows that are predicted together, and the Shapley values that have been computed so far.
struct Batch<'a, M> {
    model: &'a M,
    picks: Array2<usize>,
    /// For each mixed row, the index of its explained row, and the index at which its part of `gains` ends.
    mixtures: Vec<(usize, usize)>,
    gains: Vec<(usize, f64)>,
    outputs: usize,
    /// The sums of weighted predictions so far, by row, feature and output.
    values: Vec<f64>,
}

impl<'a, M: RowPredictor> Batch<'a, M> {
    fn new(model: &'a M, outputs: usize) -> Self {
        Self {
            model,
            picks: Array2::zeros((batch_rows(model), model.features())),
            mixtures: Vec::new(),
            gains: Vec::new(),
            outputs,
            values: vec![0.0; model.rows() * model.features() * outputs],
        }
    }

    /// Adds a mixed row to the batch. The features in `term.members` are taken from `row`, and the others from
    /// `background_row`. Returns true if the batch is full.
    fn push(&mut self, row: usize, background_row: usize, term: &Term) -> bool {
        let mut picks = self.picks.row_mut(self.mixtures.len());
        picks.fill(background_row);
        for feature in &term.members {
            picks[*feature] = row;
        }
        self.gains.extend_from_slice(&term.gains);
        self.mixtures.push((row, self.gains.len()));
        self.mixtures.len() == self.picks.nrows()
    }

    /// Predicts all mixed rows of the batch, and adds the weighted predictions to the values. The batch is empty
    /// afterwards.
    async fn predict(&mut self) -> Result<(), AttributionError<M::Error>> {
        if self.mixtures.is_empty() {
            return Ok(());
        }
        let picks = self.picks.view().split_at(Axis(0), self.mixtures.len()).0.to_owned();
        let predictions = predict_checked(self.model, picks).await?;
        if predictions.ncols() != self.outputs {
            return Err(AttributionError::UnevenPredictions);
        }
        let mut start = 0;
        for ((row, end), prediction) in self.mixtures.drain(..).zip(predictions.rows()) {
            add(&mut self.values, (row * self.model.features(), self.outputs), &self.gains[start..end], prediction);
            start = end;
        }
        self.gains.clear();
        Ok(())
    }

    /// Adds a prediction that is already known to the values of the explained row `row`, with the weights in `term`.
    fn add(&mut self, row: usize, term: &Term, prediction: ArrayView1<'_, f64>) {
        add(&mut self.values, (row * self.model.features(), self.outputs), &term.gains, prediction);
    }
}

/// Adds a weighted prediction to the values of each feature in `gains`. `first` is the index of the explained row's
/// first feature.
fn add(values: &mut [f64], (first, outputs): (usize, usize), gains: &[(usize, f64)], prediction: ArrayView1<'_, f64>) {
    for (feature, weight) in gains {
        let start = (first + feature) * outputs;
        for (value, prediction) in values[start..start + outputs].iter_mut().zip(&prediction) {
            *value += weight * prediction;
        }
    }
}

/// Checks that the model returned one prediction for each mixed row, and that all predictions are finite.
fn check_predictions<M: RowPredictor>(
    model: &M,
    picks: &Array2<usize>,
    predictions: &Array2<f64>,
) -> Result<(), AttributionError<M::Error>> {
    if predictions.nrows() != picks.nrows() {
        return Err(AttributionError::UnevenPredictions);
    }
    let Some(((mixture, output), value)) = predictions.indexed_iter().find(|(_, value)| !value.is_finite()) else {
        return Ok(());
    };
    let rows = model.rows();
    let mut sources = picks.row(mixture).into_iter().copied();
    Err(AttributionError::NotFinite {
        output,
        value: *value,
        row: sources.clone().find(|source| *source < rows),
        background_row: sources.find(|source| *source >= rows).map(|source| source - rows),
    })
}
