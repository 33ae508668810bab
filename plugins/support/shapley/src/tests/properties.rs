//! Tests of properties that the Shapley values of every model have, and of models whose Shapley values are known.

use ndarray::{Array2, Axis, array};

use super::game::Game;
use crate::Attribution;
use crate::method::Method;
use crate::permutation::Permutations;

/// Returns a matrix of random numbers from -1 to 1. The same seed returns the same numbers.
fn numbers(rows: usize, features: usize, seed: u64) -> Array2<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    Array2::from_shape_simple_fn((rows, features), || random.f64().mul_add(2.0, -1.0))
}

fn permutation(features: usize, background: usize, each: usize, seed: u64) -> Method {
    Method::Permutation(Permutations::new(features, background, each, seed))
}

/// Predicts two outputs for a row. In the first output, three features interact.
fn interacting(row: &[f64]) -> Vec<f64> {
    let product: f64 = row.iter().take(3).product();
    let sum: f64 = row.iter().sum();
    vec![product + sum.sin(), (sum * row[0]).tanh()]
}

#[tokio::test]
async fn a_linear_model_has_a_closed_form() {
    let (rows, background) = (numbers(5, 6, 1), numbers(7, 6, 2));
    let weights = [3.0, -2.0, 0.5, 0.0, 10.0, -0.25];
    let linear = |row: &[f64]| vec![row.iter().zip(weights).map(|(cell, weight)| cell * weight).sum::<f64>() + 4.0];
    let game = Game::new(&rows, &background, linear);
    let mean = background.mean_axis(Axis(0)).unwrap();
    for method in [Method::Exact, permutation(6, 7, 1, 9)] {
        let attribution = game.explain(&method).await;
        for ((row, feature, _), value) in attribution.values.indexed_iter() {
            let expected = weights[feature] * (rows[[row, feature]] - mean[feature]);
            assert!((value - expected).abs() < 1e-12, "{value} for {expected}");
        }
    }
}

#[tokio::test]
async fn exact_values_equal_the_definition() {
    let (rows, background) = (numbers(3, 5, 3), numbers(4, 5, 4));
    let game = Game::new(&rows, &background, interacting);
    let attribution = game.explain(&Method::Exact).await;
    let mean_over_background = |row: usize, coalition: &[usize], output: usize| {
        let mixed = background.rows().into_iter().map(|background_row| {
            let mut mixed = background_row.to_vec();
            coalition.iter().for_each(|feature| mixed[*feature] = rows[[row, *feature]]);
            interacting(&mixed)[output]
        });
        mixed.sum::<f64>() / 4.0
    };
    // The mean over all 120 orders, computed without the weights of coalitions.
    let orders = orders(5);
    for ((row, feature, output), value) in attribution.values.indexed_iter() {
        let gains = orders.iter().map(|order| {
            let position = order.iter().position(|other| *other == feature).unwrap();
            mean_over_background(row, &order[..=position], output)
                - mean_over_background(row, &order[..position], output)
        });
        let expected = gains.sum::<f64>() / 120.0;
        assert!((value - expected).abs() < 1e-12, "{value} for {expected}");
    }
}

fn orders(features: usize) -> Vec<Vec<usize>> {
    let Some(last) = features.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: Vec<usize>| {
        (0..=last).map(move |position| {
            let mut order = order.clone();
            order.insert(position, last);
            order
        })
    };
    orders(last).into_iter().flat_map(insert).collect()
}

#[tokio::test]
async fn symmetric_features_have_equal_values_and_an_unused_feature_has_zero() {
    let symmetric = |row: &[f64]| vec![row[0] * row[1] * row[3] + (row[0] + row[1]).cos()];
    let (rows, background) = (array![[0.5, 0.5, 0.9, 2.0]], array![[0.1, 0.1, 0.3, 1.0], [-0.2, -0.2, 0.5, 0.4]]);
    let game = Game::new(&rows, &background, symmetric);
    let values = game.explain(&Method::Exact).await.values;
    assert!((values[[0, 0, 0]] - values[[0, 1, 0]]).abs() < 1e-15);
    assert_eq!(values[[0, 2, 0]].abs().max(1e-15), 1e-15);
    let drawn = game.explain(&permutation(4, 2, 2, 0)).await.values;
    assert_eq!(drawn[[0, 2, 0]].abs().max(1e-15), 1e-15);
}

#[tokio::test]
async fn permutations_are_exact_for_pairwise_interactions_and_close_otherwise() {
    let (rows, background) = (numbers(2, 6, 5), numbers(3, 6, 6));
    let pairs = |row: &[f64]| vec![row[0] * row[1] + row[2] * row[3] - row[4] * row[0]];
    let game = Game::new(&rows, &background, pairs);
    assert_near(&game.explain(&permutation(6, 3, 1, 7)).await, &game.explain(&Method::Exact).await, 1e-12);

    let (rows, background) = (numbers(2, 9, 5), numbers(3, 9, 6));
    let game = Game::new(&rows, &background, interacting);
    let exact = game.explain(&Method::Exact).await;
    assert_near(&game.explain(&permutation(9, 3, 30, 7)).await, &exact, 0.1);
    // 62 coalitions are fewer predictions than seven orders of six features, so the values are exact.
    let (rows, background) = (numbers(2, 6, 5), numbers(3, 6, 6));
    let game = Game::new(&rows, &background, interacting);
    assert_near(&game.explain(&permutation(6, 3, 7, 7)).await, &game.explain(&Method::Exact).await, 1e-12);
}

#[track_caller]
fn assert_near(one: &Attribution, other: &Attribution, limit: f64) {
    let difference = (&one.values - &other.values).mapv(f64::abs).into_iter().fold(0.0, f64::max);
    assert!(difference < limit, "{difference}");
}

#[tokio::test]
async fn values_depend_on_the_seed_and_not_on_other_rows() {
    let (rows, background) = (numbers(3, 12, 8), numbers(4, 12, 9));
    let game = Game::new(&rows, &background, interacting);
    let explain = async |seed| game.explain(&permutation(12, 4, 2, seed)).await.values;
    let all = explain(5).await;
    assert_eq!(all, explain(5).await);
    assert_ne!(all, explain(6).await);
    let last = Game::new(&rows.select(Axis(0), &[2]), &background, interacting);
    let alone = last.explain(&permutation(12, 4, 2, 5)).await.values;
    assert_eq!(all.index_axis(Axis(0), 2), alone.index_axis(Axis(0), 0));
}

#[tokio::test]
async fn predictions_are_batched_and_limited_to_features_that_differ() {
    let (rows, background) = (numbers(10, 10, 1), numbers(8, 10, 2));
    let game = Game::new(&rows, &background, interacting);
    game.explain(&Method::Exact).await;
    // 10 · 8 pairs of rows, each with all coalitions except the empty and the full one.
    let batches = game.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().sum::<usize>(), 18 + 80 * 1022);
    assert_eq!(batches.len(), 1 + (80 * 1022_usize).div_ceil(4096));
    assert!(batches.iter().all(|rows| *rows <= 4096));

    // A row against itself, and against one that differs in two of three features.
    let row = array![[1.0, 2.0, 3.0]];
    let background = array![[1.0, 2.0, 3.0], [5.0, 2.0, 6.0]];
    let game = Game::new(&row, &background, interacting);
    let values = game.explain(&Method::Exact).await.values;
    assert_eq!(*game.batches.lock().unwrap(), [3, 2]);
    assert_eq!(values[[0, 1, 0]], 0.0);
}

#[tokio::test]
async fn wide_rows_make_smaller_batches() {
    let (rows, background) = (numbers(1, 3000, 1), numbers(1, 3000, 2));
    let game = Game::new(&rows, &background, interacting);
    game.explain(&permutation(3000, 1, 1, 0)).await;
    let batches = game.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().sum::<usize>(), 2 + 2 * 2999);
    assert!(batches.iter().all(|rows| rows * 3000 <= 1 << 20));
}

#[tokio::test]
async fn importance_is_the_mean_of_absolute_values() {
    let game = Game::new(&array![[1.0, 0.0], [-3.0, 0.0]], &array![[0.0, 0.0]], |row| vec![row[0] + 7.0 * row[1]]);
    let attribution = game.explain(&Method::Exact).await;
    assert_eq!(attribution.importance(), array![[2.0], [0.0]]);
}

#[tokio::test]
async fn inputs_or_background_without_rows_are_rejected() {
    for (rows, background, message) in [(0, 1, "the inputs have no rows"), (1, 0, "the background has no rows")] {
        let game = Game::new(&Array2::zeros((rows, 2)), &Array2::zeros((background, 2)), interacting);
        let error = Attribution::compute(&game, &Method::Exact).await.unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[tokio::test]
async fn predictions_that_are_not_finite_are_rejected_with_their_row() {
    let message = async |row: f64, background: f64| {
        let rows = array![[1.0, 1.0], [row, 2.0]];
        let game = Game::new(&rows, &array![[5.0, 1.0], [background, 1.0]], |row| vec![0.0, (row[0] - row[1]).recip()]);
        Attribution::compute(&game, &Method::Exact).await.unwrap_err().to_string()
    };
    assert!(message(3.0, 7.0).await.contains("output 1 of the model is `inf` for row 0;"));
    let rows = array![[4.0, 3.0]];
    let game = Game::new(&rows, &array![[5.0, 1.0], [3.0, 1.0]], |row| vec![(row[0] - row[1]).recip()]);
    let error = Attribution::compute(&game, &Method::Exact).await.unwrap_err();
    assert!(error.to_string().contains("row 0 with some values of row 1 of the background"), "{error}");
    let game = Game::new(&rows, &array![[1.0, 1.0]], |row| vec![(row[0] - row[1]).recip()]);
    let error = Attribution::compute(&game, &Method::Exact).await.unwrap_err();
    assert!(error.to_string().contains("for row 0 of the background"), "{error}");
}
