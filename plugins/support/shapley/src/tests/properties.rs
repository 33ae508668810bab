//! What has to hold for any model, and what is known of some.

use ndarray::{Array2, Axis, array};

use super::game::Game;
use crate::Attribution;
use crate::method::Method;
use crate::permutation::Permutations;

/// Numbers without a pattern, from -1 to 1.
fn numbers(rows: usize, features: usize, seed: u64) -> Array2<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    Array2::from_shape_simple_fn((rows, features), || random.f64().mul_add(2.0, -1.0))
}

fn permutation(features: usize, background: usize, each: usize, seed: u64) -> Method {
    Method::Permutation(Permutations::new(features, background, each, seed))
}

/// Features that work together in threes, and two outputs.
fn tangled(row: &[f64]) -> Vec<f64> {
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
async fn exact_values_are_those_of_the_definition() {
    let (rows, background) = (numbers(3, 5, 3), numbers(4, 5, 4));
    let game = Game::new(&rows, &background, tangled);
    let attribution = game.explain(&Method::Exact).await;
    let mean_over_background = |row: usize, coalition: &[usize], output: usize| {
        let mixed = background.rows().into_iter().map(|behind| {
            let mut mixed = behind.to_vec();
            coalition.iter().for_each(|feature| mixed[*feature] = rows[[row, *feature]]);
            tangled(&mixed)[output]
        });
        mixed.sum::<f64>() / 4.0
    };
    // The mean over all 120 orders, written down without a coalition's weight.
    let orders = orders(5);
    for ((row, feature, output), value) in attribution.values.indexed_iter() {
        let gains = orders.iter().map(|order| {
            let place = order.iter().position(|other| *other == feature).unwrap();
            mean_over_background(row, &order[..=place], output) - mean_over_background(row, &order[..place], output)
        });
        let expected = gains.sum::<f64>() / 120.0;
        assert!((value - expected).abs() < 1e-12, "{value} for {expected}");
    }
}

fn orders(features: usize) -> Vec<Vec<usize>> {
    let Some(last) = features.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: Vec<usize>| {
        (0..=last).map(move |place| {
            let mut order = order.clone();
            order.insert(place, last);
            order
        })
    };
    orders(last).into_iter().flat_map(insert).collect()
}

#[tokio::test]
async fn features_that_do_the_same_have_the_same_value_and_one_that_does_nothing_has_none() {
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
async fn orders_find_the_exact_values_where_features_work_together_in_pairs_and_come_near_elsewhere() {
    let (rows, background) = (numbers(2, 6, 5), numbers(3, 6, 6));
    let pairs = |row: &[f64]| vec![row[0] * row[1] + row[2] * row[3] - row[4] * row[0]];
    let game = Game::new(&rows, &background, pairs);
    assert_near(&game.explain(&permutation(6, 3, 1, 7)).await, &game.explain(&Method::Exact).await, 1e-12);

    let (rows, background) = (numbers(2, 9, 5), numbers(3, 9, 6));
    let game = Game::new(&rows, &background, tangled);
    let exact = game.explain(&Method::Exact).await;
    assert_near(&game.explain(&permutation(9, 3, 30, 7)).await, &exact, 0.1);
    // 62 coalitions are less work than so many orders of six features, and tell more.
    let (rows, background) = (numbers(2, 6, 5), numbers(3, 6, 6));
    let game = Game::new(&rows, &background, tangled);
    assert_near(&game.explain(&permutation(6, 3, 7, 7)).await, &game.explain(&Method::Exact).await, 1e-12);
}

#[track_caller]
fn assert_near(one: &Attribution, other: &Attribution, most: f64) {
    let difference = (&one.values - &other.values).mapv(f64::abs).into_iter().fold(0.0, f64::max);
    assert!(difference < most, "{difference}");
}

#[tokio::test]
async fn the_seed_decides_and_the_other_rows_do_not() {
    let (rows, background) = (numbers(3, 12, 8), numbers(4, 12, 9));
    let game = Game::new(&rows, &background, tangled);
    let explain = async |seed| game.explain(&permutation(12, 4, 2, seed)).await.values;
    let all = explain(5).await;
    assert_eq!(all, explain(5).await);
    assert_ne!(all, explain(6).await);
    let last = Game::new(&rows.select(Axis(0), &[2]), &background, tangled);
    let alone = last.explain(&permutation(12, 4, 2, 5)).await.values;
    assert_eq!(all.index_axis(Axis(0), 2), alone.index_axis(Axis(0), 0));
}

#[tokio::test]
async fn predictions_are_asked_for_in_few_batches_and_only_where_rows_differ() {
    let (rows, background) = (numbers(10, 10, 1), numbers(8, 10, 2));
    let game = Game::new(&rows, &background, tangled);
    game.explain(&Method::Exact).await;
    // 10 · 8 pairs of rows, each with all coalitions but the empty and the full one.
    let asked = game.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().sum::<usize>(), 18 + 80 * 1022);
    assert_eq!(asked.len(), 1 + (80 * 1022_usize).div_ceil(4096));
    assert!(asked.iter().all(|rows| *rows <= 4096));

    // A row against itself, and against one that differs in two of three features.
    let row = array![[1.0, 2.0, 3.0]];
    let background = array![[1.0, 2.0, 3.0], [5.0, 2.0, 6.0]];
    let game = Game::new(&row, &background, tangled);
    let values = game.explain(&Method::Exact).await.values;
    assert_eq!(*game.asked.lock().unwrap(), [3, 2]);
    assert_eq!(values[[0, 1, 0]], 0.0);
}

#[tokio::test]
async fn a_wide_row_makes_a_smaller_batch() {
    let (rows, background) = (numbers(1, 3000, 1), numbers(1, 3000, 2));
    let game = Game::new(&rows, &background, tangled);
    game.explain(&permutation(3000, 1, 1, 0)).await;
    let asked = game.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().sum::<usize>(), 2 + 2 * 2999);
    assert!(asked.iter().all(|rows| rows * 3000 <= 1 << 20));
}

#[tokio::test]
async fn importance_is_the_mean_of_absolute_values() {
    let game = Game::new(&array![[1.0, 0.0], [-3.0, 0.0]], &array![[0.0, 0.0]], |row| vec![row[0] + 7.0 * row[1]]);
    let attribution = game.explain(&Method::Exact).await;
    assert_eq!(attribution.importance(), array![[2.0], [0.0]]);
}

#[tokio::test]
async fn there_has_to_be_a_row_and_a_background() {
    for (rows, background, said) in [(0, 1, "the inputs have no row"), (1, 0, "the background has no row")] {
        let game = Game::new(&Array2::zeros((rows, 2)), &Array2::zeros((background, 2)), tangled);
        let error = Attribution::of(&game, &Method::Exact).await.unwrap_err();
        assert!(error.message().starts_with(said), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_finite_is_refused_with_its_row() {
    let refused = async |row: f64, background: f64| {
        let rows = array![[1.0, 1.0], [row, 2.0]];
        let game = Game::new(&rows, &array![[5.0, 1.0], [background, 1.0]], |row| vec![0.0, (row[0] - row[1]).recip()]);
        Attribution::of(&game, &Method::Exact).await.unwrap_err().message().to_owned()
    };
    assert!(refused(3.0, 7.0).await.contains("output 1 of the model is `inf` for row 0,"));
    let rows = array![[4.0, 3.0]];
    let game = Game::new(&rows, &array![[5.0, 1.0], [3.0, 1.0]], |row| vec![(row[0] - row[1]).recip()]);
    let error = Attribution::of(&game, &Method::Exact).await.unwrap_err();
    assert!(error.message().contains("row 0 with some of its values from row 1 of the background"), "{error}");
    let game = Game::new(&rows, &array![[1.0, 1.0]], |row| vec![(row[0] - row[1]).recip()]);
    let error = Attribution::of(&game, &Method::Exact).await.unwrap_err();
    assert!(error.message().contains("for row 0 of the background"), "{error}");
}
