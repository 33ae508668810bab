//! A model of numbers that is a Rust function, and takes down what it is asked.

use std::sync::Mutex;

use mlflow_deploy_plugin_api::{Error, Result};
use ndarray::{Array2, ArrayView1, Axis};

use crate::method::Method;
use crate::{Attribution, Model};

/// Explained rows, background rows, and a function of a row.
pub(super) struct Game<F> {
    table: Array2<f64>,
    rows: usize,
    function: F,
    /// How many rows each prediction had.
    pub(super) asked: Mutex<Vec<usize>>,
}

impl<F: Fn(&[f64]) -> Vec<f64> + Sync> Game<F> {
    pub(super) fn new(rows: &Array2<f64>, background: &Array2<f64>, function: F) -> Self {
        let table = ndarray::concatenate![Axis(0), *rows, *background];
        Self { table, rows: rows.nrows(), function, asked: Mutex::default() }
    }

    /// Explains, and sees to it that the values add up.
    pub(super) async fn explain(&self, method: &Method) -> Attribution {
        let attribution = Attribution::of(self, method).await.unwrap();
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

impl<F: Fn(&[f64]) -> Vec<f64> + Sync> Model for Game<F> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn background(&self) -> usize {
        self.table.nrows() - self.rows
    }

    fn features(&self) -> usize {
        self.table.ncols()
    }

    fn is_same(&self, feature: usize, one: usize, other: usize) -> bool {
        self.table[[one, feature]].to_bits() == self.table[[other, feature]].to_bits()
    }

    async fn predict(&self, picks: Array2<usize>) -> Result<Array2<f64>> {
        self.asked.lock().unwrap().push(picks.nrows());
        let mix = |picks: ArrayView1<'_, usize>| {
            let row: Vec<_> = picks.iter().enumerate().map(|(feature, row)| self.table[[*row, feature]]).collect();
            (self.function)(&row)
        };
        let outputs: Vec<_> = picks.rows().into_iter().map(mix).collect();
        let width = outputs.first().map_or(0, Vec::len);
        Array2::from_shape_vec((picks.nrows(), width), outputs.concat())
            .map_err(|error| Error::internal(error.to_string()))
    }
}
