//! Shapley values of every feature of every row: which mixed rows are predicted, and what the predictions add up to.
//!
//! A feature that is absent has its value in a background row. The value of a feature is the mean, over the background
//! rows, of its Shapley value in the game between the row that is explained and that one background row. So what is
//! predicted are mixtures of two rows, and of these only the features in which the two differ play a part.

use std::ops::Range;

use mlflow_deploy_plugin_api::{Error, Result, call};
use ndarray::{Array1, Array2, Array3, ArrayView1, Axis, concatenate};

use crate::method::{Method, Term};

/// Rows that are predicted at once, at most: enough for an engine to be quick, few enough to hold in memory.
const BATCH_ROWS: usize = 4096;

/// Cells of all rows that are predicted at once, at most, unless one row has more.
const BATCH_CELLS: usize = 1 << 20;

/// What predicts rows that are put together, cell by cell, from a table.
///
/// The table has first the rows that are explained and then those of the background, and a column for each feature.
pub trait Model: Sync {
    /// How many rows are explained; they are the table's first.
    fn rows(&self) -> usize;

    /// How many rows of background follow.
    fn background(&self) -> usize;

    /// How many features a row has.
    fn features(&self) -> usize;

    /// Whether two rows of the table have the same value of a feature.
    fn is_same(&self, feature: usize, one: usize, other: usize) -> bool;

    /// Predicts rows: `picks` has a row for each, and says for every feature which row of the table its value is from.
    /// The answer has a row for each, and a column for each output; they are as many each time.
    fn predict(&self, picks: Array2<usize>) -> impl Future<Output = Result<Array2<f64>>> + Send;
}

/// What every feature contributes to every prediction.
#[derive(Debug)]
pub struct Attribution {
    /// The mean prediction over the background: one for each output.
    pub base: Array1<f64>,
    /// What the model predicts: row × output.
    pub predictions: Array2<f64>,
    /// What each feature adds to the base: row × feature × output. Over the features it is prediction minus base.
    pub values: Array3<f64>,
}

impl Attribution {
    /// Explains all rows.
    ///
    /// # Errors
    /// What the model says; where there are no rows, or no background; and where the model predicts no finite number:
    /// nothing adds up to one that is not.
    pub async fn of(model: &impl Model, method: &Method) -> Result<Self> {
        if model.rows() == 0 {
            return Err(Error::invalid_parameter("the inputs have no row: there is nothing to explain"));
        }
        if model.background() == 0 {
            return Err(Error::invalid_parameter(
                "the background has no row: give one that predictions are compared with",
            ));
        }
        let table = predict_table(model).await?;
        let (predictions, backgrounds) = table.view().split_at(Axis(0), model.rows());
        let base = backgrounds.mean_axis(Axis(0)).expect("there is a background row");
        let mut batch = Batch::new(model, table.ncols());
        let mut term = Term::default();
        for row in 0..model.rows() {
            for background in 0..model.background() {
                let behind = model.rows() + background;
                let is_different = |feature: &usize| !model.is_same(*feature, row, behind);
                let varying: Vec<usize> = (0..model.features()).filter(is_different).collect();
                let mut walk = method.walk(&varying, background);
                while walk.next(&mut term) {
                    if term.members.is_empty() {
                        batch.add(row, &term, table.row(behind));
                    } else if term.members.len() == varying.len() {
                        batch.add(row, &term, table.row(row));
                    } else if batch.push(row, behind, &term) {
                        batch.settle().await?;
                    }
                }
            }
            report(row + 1, model.rows());
        }
        batch.settle().await?;
        let shape = (model.rows(), model.features(), table.ncols());
        let mut values = Array3::from_shape_vec(shape, batch.values).expect("it was made of this size");
        #[expect(clippy::cast_precision_loss, reason = "no memory holds that many rows")]
        let mean = 1.0 / model.background() as f64;
        values *= mean;
        Ok(Self { base, predictions: predictions.to_owned(), values })
    }

    /// How much each feature matters: the mean absolute value over the rows, feature × output.
    pub fn importance(&self) -> Array2<f64> {
        self.values.mapv(f64::abs).mean_axis(Axis(0)).expect("there is a row")
    }
}

/// Says how many rows are explained, at each of a hundred parts of the way.
fn report(done: usize, all: usize) {
    if done * 100 / all != (done - 1) * 100 / all {
        #[expect(clippy::cast_precision_loss, reason = "a part of the way needs few digits")]
        call::progress(done as f64 / all as f64, format!("explained {done} of {all} rows"));
    }
}

/// Predicts every row of the table as it is.
async fn predict_table(model: &impl Model) -> Result<Array2<f64>> {
    let all = model.rows() + model.background();
    let size = batch_rows(model);
    let mut parts = Vec::new();
    for start in (0..all).step_by(size) {
        let rows: Range<usize> = start..all.min(start + size);
        let picks = Array2::from_shape_fn((rows.len(), model.features()), |(row, _)| start + row);
        parts.push(checked(model, &picks, model.predict(picks.clone()).await?)?);
    }
    let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &parts).map_err(|_uneven| uneven())
}

fn batch_rows(model: &impl Model) -> usize {
    (BATCH_CELLS / model.features().max(1)).clamp(1, BATCH_ROWS)
}

/// Mixed rows that wait for a prediction, what each is for, and what has come of those before.
struct Batch<'a, M> {
    model: &'a M,
    picks: Array2<usize>,
    /// For each mixed row: the row that is explained, and where its gains end.
    waiting: Vec<(usize, usize)>,
    gains: Vec<(usize, f64)>,
    outputs: usize,
    /// Row × feature × output.
    values: Vec<f64>,
}

impl<'a, M: Model> Batch<'a, M> {
    fn new(model: &'a M, outputs: usize) -> Self {
        Self {
            model,
            picks: Array2::zeros((batch_rows(model), model.features())),
            waiting: Vec::new(),
            gains: Vec::new(),
            outputs,
            values: vec![0.0; model.rows() * model.features() * outputs],
        }
    }

    /// Adds a mixture of two rows of the table; says whether the batch is full.
    fn push(&mut self, row: usize, behind: usize, term: &Term) -> bool {
        let mut picks = self.picks.row_mut(self.waiting.len());
        picks.fill(behind);
        for feature in &term.members {
            picks[*feature] = row;
        }
        self.gains.extend_from_slice(&term.gains);
        self.waiting.push((row, self.gains.len()));
        self.waiting.len() == self.picks.nrows()
    }

    /// Predicts the rows, and adds what comes of it to the values.
    async fn settle(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let picks = self.picks.view().split_at(Axis(0), self.waiting.len()).0.to_owned();
        let predictions = checked(self.model, &picks, self.model.predict(picks.clone()).await?)?;
        if predictions.ncols() != self.outputs {
            return Err(uneven());
        }
        let mut start = 0;
        for ((row, end), prediction) in self.waiting.drain(..).zip(predictions.rows()) {
            add(&mut self.values, (row * self.model.features(), self.outputs), &self.gains[start..end], prediction);
            start = end;
        }
        self.gains.clear();
        Ok(())
    }

    /// Adds what is predicted already.
    fn add(&mut self, row: usize, term: &Term, prediction: ArrayView1<'_, f64>) {
        add(&mut self.values, (row * self.model.features(), self.outputs), &term.gains, prediction);
    }
}

/// Adds a prediction to the values of features, of which the first has the given place.
fn add(values: &mut [f64], (first, outputs): (usize, usize), gains: &[(usize, f64)], prediction: ArrayView1<'_, f64>) {
    for (feature, weight) in gains {
        let start = (first + feature) * outputs;
        for (value, prediction) in values[start..start + outputs].iter_mut().zip(&prediction) {
            *value += weight * prediction;
        }
    }
}

/// Sees to it that there is a finite prediction for every row.
fn checked(model: &impl Model, picks: &Array2<usize>, predictions: Array2<f64>) -> Result<Array2<f64>> {
    if predictions.nrows() != picks.nrows() {
        return Err(uneven());
    }
    if predictions.iter().all(|prediction| prediction.is_finite()) {
        return Ok(predictions);
    }
    let is_not_finite = |(_, prediction): &(_, &f64)| !prediction.is_finite();
    let ((place, output), value) = predictions.indexed_iter().find(is_not_finite).expect("one has just been seen");
    let rows = model.rows();
    let (explained, background): (Vec<usize>, Vec<usize>) = picks.row(place).iter().partition(|source| **source < rows);
    let whose = match (explained.first(), background.first()) {
        (Some(row), None) => format!("row {row}"),
        (None, Some(behind)) => format!("row {} of the background", *behind - rows),
        (Some(row), Some(behind)) => {
            format!("row {row} with some of its values from row {} of the background", *behind - rows)
        }
        (None, None) => "a row without features".to_owned(),
    };
    Err(Error::invalid_parameter(format!(
        "failed to explain: output {output} of the model is `{value}` for {whose}, and only finite numbers can be \
         explained"
    )))
}

fn uneven() -> Error {
    Error::internal("failed to explain: the model does not answer every row with the same number of outputs")
}
