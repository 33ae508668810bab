//! Tests how `explain` reads the inputs, the background and the config.

use std::num::NonZeroUsize;

use mlflow_deploy_plugin_api::Config;
use mlflow_deploy_shapley::Method;
use ndarray::{ArrayD, IxDyn, arr1, arr2, array};
use serde_json::{Value, json};

use crate::explain::config::ExplainConfig;
use crate::explain::feature_table::FeatureTable;
use mlflow_deploy_scoring::{Inputs, Tensor};

fn text(texts: &[&str]) -> Tensor {
    Tensor::String(arr1(texts).mapv(str::to_owned).into_dyn())
}

fn frame(columns: Vec<(&str, Tensor)>) -> Inputs {
    Inputs::Frame(columns.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect())
}

fn table(explained: Inputs, background: Inputs) -> FeatureTable {
    FeatureTable::new(explained, background, NonZeroUsize::MAX, 0).unwrap()
}

#[track_caller]
fn assert_rejected(explained: Inputs, background: Inputs, message: &str) {
    let error = FeatureTable::new(explained, background, NonZeroUsize::MAX, 0).err().unwrap();
    assert!(error.message().contains(message), "{error}");
}

#[test]
fn rows_are_mixed_from_columns_of_any_type() {
    let explained = frame(vec![
        ("age", Tensor::Int64(arr1(&[30, 40]).into_dyn())),
        ("city", text(&["Rome", "Oslo"])),
        ("place", Tensor::Float32(arr2(&[[0.1, 0.2], [0.3, 0.4]]).into_dyn())),
        ("member", Tensor::Bool(arr1(&[true, false]).into_dyn())),
    ]);
    // The background has the columns in another order, and one more column.
    let background = frame(vec![
        ("member", Tensor::Bool(arr1(&[false]).into_dyn())),
        ("place", Tensor::Float32(arr2(&[[0.1, 9.5]]).into_dyn())),
        ("city", text(&["Rome"])),
        ("unused", text(&["x"])),
        ("age", Tensor::Int64(arr1(&[50]).into_dyn())),
    ]);
    let table = table(explained, background);
    assert_eq!((table.rows(), table.background_rows()), (2, 1));
    assert_eq!(table.names(), ["age", "city", "place[0]", "place[1]", "member"]);
    assert_eq!(json!(table.data()), json!([[30, "Rome", 0.1, 0.2, true], [40, "Oslo", 0.3, 0.4, false]]));
    let same: Vec<bool> = (0..5).map(|feature| table.is_same(feature, 0, 2)).collect();
    assert_eq!(same, [false, true, true, false, false]);
    let picked = table.pick(&array![[0, 1, 2, 0, 2], [2, 2, 1, 1, 1], [1, 0, 0, 2, 0]]);
    let expected = frame(vec![
        ("age", Tensor::Int64(arr1(&[30, 50, 40]).into_dyn())),
        ("city", text(&["Oslo", "Rome", "Rome"])),
        ("place", Tensor::Float32(arr2(&[[0.1, 0.2], [0.3, 0.4], [0.1, 9.5]]).into_dyn())),
        ("member", Tensor::Bool(arr1(&[false, false, true]).into_dyn())),
    ]);
    assert_eq!(picked, expected);
}

#[test]
fn every_element_of_a_tensor_row_is_a_feature() {
    let cells: Vec<f64> = (0..12).map(f64::from).collect();
    // The tensor is not in row-major order.
    let transposed = ArrayD::from_shape_vec(IxDyn(&[3, 2, 2]), cells).unwrap().permuted_axes(IxDyn(&[2, 1, 0]));
    let single = Inputs::Single(Tensor::Float64(transposed));
    let table = table(single.clone(), single);
    assert_eq!(table.names(), ["[0, 0]", "[0, 1]", "[0, 2]", "[1, 0]", "[1, 1]", "[1, 2]"]);
    assert_eq!(json!(table.data()[1]), json!([1.0, 5.0, 9.0, 3.0, 7.0, 11.0]));
    let Inputs::Single(Tensor::Float64(picked)) = table.pick(&array![[0, 1, 0, 1, 0, 1]]) else { unreachable!() };
    assert_eq!(picked, array![[[0.0, 5.0, 8.0], [3.0, 6.0, 11.0]]].into_dyn());
}

#[test]
fn different_inputs_and_background_are_rejected() {
    let numbers = |numbers: &[f64]| Tensor::Float64(arr1(numbers).into_dyn());
    let one = || frame(vec![("a", numbers(&[1.0]))]);
    assert_rejected(
        one(),
        Inputs::Single(numbers(&[1.0])),
        "the background is one tensor, but the inputs are a dataframe",
    );
    assert_rejected(one(), frame(vec![("b", numbers(&[1.0]))]), "the background has no `a`");
    assert_rejected(
        one(),
        frame(vec![("a", text(&["x"]))]),
        "`a` is str of shape [1] in the background and float64 of shape [1] in the inputs",
    );
    let uneven = frame(vec![("a", numbers(&[1.0])), ("b", numbers(&[1.0, 2.0]))]);
    assert_rejected(uneven, one(), "the inputs have columns of different lengths");
    assert_rejected(frame(vec![]), one(), "the inputs have no columns");
    let scalar = Inputs::Single(Tensor::Float64(ArrayD::from_elem(IxDyn(&[]), 1.0)));
    assert_rejected(scalar.clone(), scalar, "the tensor of the inputs is a single value: expected rows");
    let times = || frame(vec![("when", Tensor::Datetime(arr1(&[0]).into_dyn()))]);
    assert_rejected(
        times(),
        times(),
        "`when` has type datetime64[ns]: only numbers, booleans and strings can be explained",
    );
}

#[test]
fn numbers_of_different_types_become_floats() {
    let table = table(
        frame(vec![("a", Tensor::Int64(arr1(&[1]).into_dyn()))]),
        frame(vec![("a", Tensor::Float64(arr1(&[1.5]).into_dyn()))]),
    );
    let expected = frame(vec![("a", Tensor::Float64(arr1(&[1.5, 1.0]).into_dyn()))]);
    assert_eq!(table.pick(&array![[1], [0]]), expected);
}

#[test]
fn rows_of_a_long_background_are_drawn_by_the_seed() {
    let column = |rows: i64| frame(vec![("a", Tensor::Int64((0..rows).collect::<ndarray::Array1<_>>().into_dyn()))]);
    let drawn = |seed| {
        let table = FeatureTable::new(column(1), column(50), NonZeroUsize::new(5).unwrap(), seed).unwrap();
        assert_eq!(table.background_rows(), 5);
        let Inputs::Frame(columns) = table.pick(&array![[1], [2], [3], [4], [5]]) else { unreachable!() };
        let Tensor::Int64(rows) = &columns[0].1 else { unreachable!() };
        rows.iter().copied().collect::<Vec<_>>()
    };
    assert!(drawn(1).is_sorted_by(|one, next| one < next), "each row at most once, in ascending order");
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

fn config(value: Value) -> Result<ExplainConfig, String> {
    ExplainConfig::new(&Config::new(&value).unwrap()).map_err(|error| error.message().to_owned())
}

#[test]
fn the_default_method_is_exact_up_to_ten_features() {
    let is_exact = |value: Value, features| matches!(config(value).unwrap().method(features, 1), Ok(Method::Exact));
    assert!(is_exact(json!({}), 10));
    assert!(!is_exact(json!({}), 11));
    assert!(is_exact(json!({"method": "exact"}), 16));
    assert!(!is_exact(json!({"method": "permutation"}), 2));
    let error = config(json!({"method": "exact"})).unwrap().method(17, 1).unwrap_err();
    assert!(error.message().contains("2^17 predictions"), "{error}");
}

#[test]
fn a_background_is_read_inline_or_from_a_file() {
    assert!(config(json!({})).unwrap().background().unwrap().is_none());
    let inline = config(json!({"background": {"inputs": [[1.0]]}})).unwrap().background().unwrap().unwrap();
    assert_eq!((inline.media_type().as_str(), inline.bytes()), ("application/json", &br#"{"inputs":[[1.0]]}"#[..]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.CSV");
    std::fs::write(&path, "a\n1\n").unwrap();
    let file = config(json!({"background": path})).unwrap().background().unwrap().unwrap();
    assert_eq!((file.media_type().as_str(), file.bytes()), ("text/csv", &b"a\n1\n"[..]));
    let error = config(json!({"background": "no/such.json"})).unwrap().background().unwrap_err();
    assert!(error.message().starts_with("failed to read the background `no/such.json`: "), "{error}");
}

#[test]
fn unknown_keys_and_invalid_values_are_rejected() {
    for (value, expected) in [
        (json!({"nsamples": 5}), "unknown field `nsamples`"),
        (json!({"permutations": 0}), "a whole number from 1"),
        (json!({"seed": -1}), "a whole number from 0"),
        (json!({"method": "kernel"}), "unknown variant"),
    ] {
        let message = config(value).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}
