//! What is explained, and with what it is compared.

use std::num::NonZeroUsize;

use mlflow_deploy_plugin_api::Config;
use mlflow_deploy_shapley::Method;
use ndarray::{ArrayD, IxDyn, arr1, arr2, array};
use serde_json::{Value, json};

use crate::explain::{Settings, Table};
use mlflow_deploy_scoring::{Inputs, Tensor};

fn text(texts: &[&str]) -> Tensor {
    Tensor::String(arr1(texts).mapv(str::to_owned).into_dyn())
}

fn frame(columns: Vec<(&str, Tensor)>) -> Inputs {
    Inputs::Frame(columns.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect())
}

fn table(explained: Inputs, background: Inputs) -> Table {
    Table::new(explained, background, NonZeroUsize::MAX, 0).unwrap()
}

#[track_caller]
fn refused(explained: Inputs, background: Inputs, said: &str) {
    let error = Table::new(explained, background, NonZeroUsize::MAX, 0).err().unwrap();
    assert!(error.message().contains(said), "{error}");
}

#[test]
fn rows_are_put_together_of_columns_of_any_type() {
    let explained = frame(vec![
        ("age", Tensor::Int64(arr1(&[30, 40]).into_dyn())),
        ("city", text(&["Rome", "Oslo"])),
        ("place", Tensor::Float32(arr2(&[[0.1, 0.2], [0.3, 0.4]]).into_dyn())),
        ("member", Tensor::Bool(arr1(&[true, false]).into_dyn())),
    ]);
    // In another order, with a column more.
    let background = frame(vec![
        ("member", Tensor::Bool(arr1(&[false]).into_dyn())),
        ("place", Tensor::Float32(arr2(&[[0.1, 9.5]]).into_dyn())),
        ("city", text(&["Rome"])),
        ("unused", text(&["x"])),
        ("age", Tensor::Int64(arr1(&[50]).into_dyn())),
    ]);
    let table = table(explained, background);
    assert_eq!((table.rows(), table.background()), (2, 1));
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
fn every_place_of_a_tensor_is_a_feature() {
    let cells: Vec<f64> = (0..12).map(f64::from).collect();
    // In another order of memory than the usual.
    let turned = ArrayD::from_shape_vec(IxDyn(&[3, 2, 2]), cells).unwrap().permuted_axes(IxDyn(&[2, 1, 0]));
    let single = Inputs::Single(Tensor::Float64(turned));
    let table = table(single.clone(), single);
    assert_eq!(table.names(), ["[0, 0]", "[0, 1]", "[0, 2]", "[1, 0]", "[1, 1]", "[1, 2]"]);
    assert_eq!(json!(table.data()[1]), json!([1.0, 5.0, 9.0, 3.0, 7.0, 11.0]));
    let Inputs::Single(Tensor::Float64(picked)) = table.pick(&array![[0, 1, 0, 1, 0, 1]]) else { unreachable!() };
    assert_eq!(picked, array![[[0.0, 5.0, 8.0], [3.0, 6.0, 11.0]]].into_dyn());
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let numbers = |numbers: &[f64]| Tensor::Float64(arr1(numbers).into_dyn());
    let one = || frame(vec![("a", numbers(&[1.0]))]);
    refused(one(), Inputs::Single(numbers(&[1.0])), "the background is one tensor, and the inputs are a dataframe");
    refused(one(), frame(vec![("b", numbers(&[1.0]))]), "the background has no `a`");
    refused(
        one(),
        frame(vec![("a", text(&["x"]))]),
        "`a` is str of shape [1] in the background and float64 of shape [1] in the inputs",
    );
    let uneven = frame(vec![("a", numbers(&[1.0])), ("b", numbers(&[1.0, 2.0]))]);
    refused(uneven, one(), "the inputs have columns of different lengths");
    refused(frame(vec![]), one(), "the inputs have no columns");
    let scalar = Inputs::Single(Tensor::Float64(ArrayD::from_elem(IxDyn(&[]), 1.0)));
    refused(scalar.clone(), scalar, "the tensor of the inputs is a single value: expected rows");
    let times = || frame(vec![("when", Tensor::Datetime(arr1(&[0]).into_dyn()))]);
    refused(
        times(),
        times(),
        "`when` is of type datetime64[ns]: only numbers, truth values and texts can be explained",
    );
}

#[test]
fn numbers_of_two_types_become_floats() {
    let table = table(
        frame(vec![("a", Tensor::Int64(arr1(&[1]).into_dyn()))]),
        frame(vec![("a", Tensor::Float64(arr1(&[1.5]).into_dyn()))]),
    );
    let expected = frame(vec![("a", Tensor::Float64(arr1(&[1.5, 1.0]).into_dyn()))]);
    assert_eq!(table.pick(&array![[1], [0]]), expected);
}

#[test]
fn a_long_background_is_drawn_from_by_the_seed() {
    let column = |rows: i64| frame(vec![("a", Tensor::Int64((0..rows).collect::<ndarray::Array1<_>>().into_dyn()))]);
    let drawn = |seed| {
        let table = Table::new(column(1), column(50), NonZeroUsize::new(5).unwrap(), seed).unwrap();
        assert_eq!(table.background(), 5);
        let Inputs::Frame(columns) = table.pick(&array![[1], [2], [3], [4], [5]]) else { unreachable!() };
        let Tensor::Int64(rows) = &columns[0].1 else { unreachable!() };
        rows.iter().copied().collect::<Vec<_>>()
    };
    assert!(drawn(1).is_sorted_by(|one, next| one < next), "each row once, in their order");
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

fn settings(config: Value) -> Result<Settings, String> {
    Settings::new(&Config::new(&config).unwrap()).map_err(|error| error.message().to_owned())
}

#[test]
fn the_method_is_exact_up_to_ten_features_unless_another_is_asked_for() {
    let is_exact = |config: Value, features| matches!(settings(config).unwrap().method(features, 1), Ok(Method::Exact));
    assert!(is_exact(json!({}), 10));
    assert!(!is_exact(json!({}), 11));
    assert!(is_exact(json!({"method": "exact"}), 16));
    assert!(!is_exact(json!({"method": "permutation"}), 2));
    let error = settings(json!({"method": "exact"})).unwrap().method(17, 1).unwrap_err();
    assert!(error.message().contains("2^17 predictions"), "{error}");
}

#[test]
fn a_background_is_inline_or_a_file() {
    assert!(settings(json!({})).unwrap().background().unwrap().is_none());
    let inline = settings(json!({"background": {"inputs": [[1.0]]}})).unwrap().background().unwrap().unwrap();
    assert_eq!((inline.media_type().as_str(), inline.bytes()), ("application/json", &br#"{"inputs":[[1.0]]}"#[..]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.CSV");
    std::fs::write(&path, "a\n1\n").unwrap();
    let file = settings(json!({"background": path})).unwrap().background().unwrap().unwrap();
    assert_eq!((file.media_type().as_str(), file.bytes()), ("text/csv", &b"a\n1\n"[..]));
    let error = settings(json!({"background": "no/such.json"})).unwrap().background().unwrap_err();
    assert!(error.message().starts_with("failed to read the background `no/such.json`: "), "{error}");
}

#[test]
fn a_key_that_is_not_known_and_a_number_that_is_none_are_refused() {
    for (config, said) in [
        (json!({"nsamples": 5}), "unknown field `nsamples`"),
        (json!({"permutations": 0}), "a whole number from 1"),
        (json!({"seed": -1}), "a whole number from 0"),
        (json!({"method": "kernel"}), "unknown variant"),
    ] {
        let message = settings(config).unwrap_err();
        assert!(message.contains(said), "{message}");
    }
}
