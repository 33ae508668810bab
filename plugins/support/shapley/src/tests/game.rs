//! A model for tests. It computes its predictions with a Rust function, and records the size of each batch.

use std::sync::Mutex;

use ndarray::{Array2, ArrayView1, Axis, ShapeError};

use crate::method::Method;
use crate::{Attribution, RowPredictor};

/// A table of explained rows and background rows, and the function that predicts a row.
pub(super) struct Game<F> {
    table: Array2<f64>,
    rows: usize,
    function: F,
    /// The number of rows in each call of `predict`.
    pub(super) batches: Mutex<Vec<usize>>,
}

impl<F: Fn(&[f64]) -> Vec<f64> + Sync> Game<F> {
    pub(super) fn new(rows: &Array2<f64>, background: &Array2<f64>, function: F) -> Self {
        let table = ndarray::concatenate![Axis(0), *rows, *background];
        Self { table, rows: rows.nrows(), function, batches: Mutex::default() }
    }

    /// Explains the predictions. Checks that the Shapley values of each row sum to its prediction minus the base.
    pub(super) async fn explain(&self, method: &Method) -> Attribution {
        let attribution = Attribution::compute(self, method).await.unwrap();
        for ((row, values), prediction) in
            attribution.values.outer_iter().enumerate().zip(attribution.predictions.rows())
        {
            let sum = values.sum_axis(Axis(0)) + &attribution.base;
            assert!((&sum - &prediction).iter().all(|error| error.abs() < 1e-9), "row {row}: {sum} for {prediction}");
            assert_eq!(prediction.to_vec(), (self.function)(&self.row(row)));
        }
        attribution
    }

    pub(super) fn row(&self, row: usize) -> Vec<f64> {
        self.table.row(row).to_vec()
    }
}

impl<F: Fn(&[f64]) -> Vec<f64> + Sync> RowPredictor for Game<F> {
    type Error = ShapeError;

    fn rows(&self) -> usize {
        self.rows
    }

    fn background_rows(&self) -> usize {
        self.table.nrows() - self.rows
    }

    fn features(&self) -> usize {
        self.table.ncols()
    }

    fn is_same(&self, feature: usize, one: usize, other: usize) -> bool {
        self.table[[one, feature]].to_bits() == self.table[[other, feature]].to_bits()
    }

    async fn predict(&self, picks: Array2<usize>) -> Result<Array2<f64>, ShapeError> {
        self.batches.lock().unwrap().push(picks.nrows());
        let mix = |picks: ArrayView1<'_, usize>| {
            let row: Vec<_> = picks.iter().enumerate().map(|(feature, row)| self.table[[*row, feature]]).collect();
            (self.function)(&row)
        };
        let outputs: Vec<_> = picks.rows().into_iter().map(mix).collect();
        let width = outputs.first().map_or(0, Vec::len);
        Array2::from_shape_vec((picks.nrows(), width), outputs.concat())
    }
}
