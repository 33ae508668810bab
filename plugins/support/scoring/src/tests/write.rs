//! Tests that predictions are written as MLflow's scoring server writes them.

use half::f16;
use ndarray::{ArrayD, arr0, arr1, arr2};
use serde_json::Value;

use crate::python::float_repr;
use crate::{Layout, Output, Tensor, write_predictions};

fn tensor<D: ndarray::Dimension, T>(array: ndarray::Array<T, D>, variant: fn(ArrayD<T>) -> Tensor) -> Output {
    Output::Tensor(variant(array.into_dyn()))
}

fn named(outputs: Vec<(&str, Output)>, layout: Layout) -> String {
    write_predictions(&outputs.into_iter().map(|(name, output)| (name.to_owned(), output)).collect::<Vec<_>>(), layout)
}

/// Returns the JSON of one output, without the object that contains it.
fn value_of(output: Output) -> String {
    let written = named(vec![("y", output)], Layout::Named);
    written.strip_prefix(r#"{"predictions": {"y": "#).unwrap().strip_suffix("}}").unwrap().to_owned()
}

#[test]
fn predictions_of_recorded_onnx_models_are_the_same() {
    let recorded: Value = serde_json::from_str(include_str!("recordings/onnx_iris_tensor.json")).unwrap();
    let case = recorded["cases"].as_array().unwrap().iter().find(|case| case["name"] == "instances_2d").unwrap();
    let probabilities: [[f32; 3]; 2] =
        [[0.981_656_85, 0.018_343_149, 1.439_504_2e-8], [4.512_848e-5, 0.038_648_86, 0.961_306_04]];
    let outputs = vec![
        ("label", tensor(arr1(&[0, 2]), Tensor::Int64)),
        ("probabilities", tensor(arr2(&probabilities), Tensor::Float32)),
    ];
    assert_eq!(named(outputs, Layout::Named), case["response"]["body"].as_str().unwrap());
    let recorded: Value = serde_json::from_str(include_str!("recordings/onnx_mlp.json")).unwrap();
    let y: [[f32; 3]; 1] = [[0.716_564_7, 0.266_915_17, 0.016_520_08]];
    let outputs = vec![("y", tensor(arr2(&y), Tensor::Float32))];
    assert_eq!(named(outputs, Layout::Named), recorded["cases"][0]["response"]["body"].as_str().unwrap());
}

#[test]
fn values_are_written_as_python_writes_them() {
    assert_eq!(value_of(tensor(arr1(&[0.1, 2.0]), Tensor::Float32)), "[0.10000000149011612, 2.0]");
    assert_eq!(value_of(tensor(arr1(&[1.0, 2.0]), Tensor::Float64)), "[1.0, 2.0]");
    assert_eq!(value_of(tensor(arr2(&[[1.0, 0.0], [0.0, 1.0]]), Tensor::Float64)), "[[1.0, 0.0], [0.0, 1.0]]");
    assert_eq!(
        value_of(tensor(arr1(&[1e300, 1e-7, 1e16, 1.234_567_890_123_456_8e17, 1e-4, 0.00001, -0.0]), Tensor::Float64)),
        "[1e+300, 1e-07, 1e+16, 1.2345678901234568e+17, 0.0001, 1e-05, -0.0]",
    );
    // Two decimals of the same length are equally near to 2^-25: Python writes the even one.
    assert_eq!(
        value_of(tensor(arr1(&[2_f64.powi(-25), 1.5e-5, -1.25e-5, 5e-324, f64::MAX]), Tensor::Float64)),
        "[2.9802322387695312e-08, 1.5e-05, -1.25e-05, 5e-324, 1.7976931348623157e+308]",
    );
    let unreal = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    assert_eq!(value_of(tensor(arr1(&unreal), Tensor::Float64)), "[NaN, Infinity, -Infinity]");
    assert_eq!(value_of(tensor(arr0(f32::NAN), Tensor::Float32)), "NaN");
    assert_eq!(value_of(tensor(arr1(&[f16::from_f32(0.1)]), Tensor::Float16)), "[0.0999755859375]");
    assert_eq!(value_of(tensor(arr1(&[true, false]), Tensor::Bool)), "[true, false]");
    assert_eq!(value_of(tensor(arr1(&[u64::MAX]), Tensor::UInt64)), "[18446744073709551615]");
    assert_eq!(value_of(tensor(arr1(&[i8::MIN]), Tensor::Int8)), "[-128]");
    assert_eq!(
        value_of(tensor(arr1(&["é\u{2028}😀\u{7f}\"\\\n".to_owned()]), Tensor::String)),
        r#"["\u00e9\u2028\ud83d\ude00\u007f\"\\\n"]"#
    );
    assert_eq!(value_of(tensor(arr1(&[b"hi".to_vec()]), Tensor::Binary)), r#"["aGk=\n"]"#);
    assert_eq!(value_of(tensor(arr1(&[1_704_067_200_000_000_000]), Tensor::Datetime)), "[1704067200000000000]");
    assert_eq!(value_of(tensor(ArrayD::<f32>::zeros(vec![2, 0]), Tensor::Float32)), "[[], []]");
    assert_eq!(value_of(tensor(ArrayD::<f32>::zeros(vec![1, 2, 1]), Tensor::Float32)), "[[[0.0], [0.0]]]");
}

/// Tests that a float without an exponent is written with the digits of Rust's `{:?}`, which are those of Python's
/// `repr`.
#[test]
fn floats_without_an_exponent_have_the_digits_of_debug() {
    for exponent in -3..16 {
        for digit in [1.0, 1.1, 2.0 / 3.0, 9.999_999_999_999_998, std::f64::consts::PI] {
            let float = digit * 10_f64.powi(exponent);
            for float in [float, -float] {
                assert_eq!(value_of(tensor(arr0(float), Tensor::Float64)), format!("{float:?}"));
            }
        }
    }
}

#[test]
fn predictions_for_a_dataframe_are_records() {
    let maps = || Output::Maps(vec![vec![("0".to_owned(), 0.25), ("1".to_owned(), 0.75)]; 2]);
    let outputs = vec![
        ("label", tensor(arr1(&[7, 8]), Tensor::Int64)),
        ("score", tensor(arr2(&[[0.5], [1.5]]), Tensor::Float32)),
        ("pair", tensor(arr2(&[[1, 2], [3, 4]]), Tensor::Int32)),
        ("map", maps()),
    ];
    assert_eq!(
        named(outputs, Layout::Records),
        r#"{"predictions": [{"label": 7, "score": 0.5, "pair": [1, 2], "map": {"0": 0.25, "1": 0.75}}, "#.to_owned()
            + r#"{"label": 8, "score": 1.5, "pair": [3, 4], "map": {"0": 0.25, "1": 0.75}}]}"#,
    );
    assert_eq!(
        named(vec![("map", maps())], Layout::Named),
        r#"{"predictions": {"map": [{"0": 0.25, "1": 0.75}, {"0": 0.25, "1": 0.75}]}}"#
    );
}

#[test]
fn outputs_with_different_numbers_of_rows_stay_arrays() {
    let outputs = vec![("label", tensor(arr1(&[7, 8]), Tensor::Int64)), ("mean", tensor(arr0(0.5), Tensor::Float64))];
    assert_eq!(named(outputs, Layout::Records), r#"{"predictions": {"label": [7, 8], "mean": 0.5}}"#);
    assert_eq!(named(vec![], Layout::Records), r#"{"predictions": {}}"#);
    let empty = vec![("label", tensor(arr1::<i64>(&[]), Tensor::Int64))];
    assert_eq!(named(empty, Layout::Records), r#"{"predictions": []}"#);
}

#[test]
fn float_repr_is_the_repr_of_python() {
    for (float, text) in [
        (1.0, "1.0"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.5e16, "1.5e+16"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-1.52587890625e-05, "-1.52587890625e-05"),
        (1e-7, "1e-07"),
        (2f64.powi(-25), "2.9802322387695312e-08"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::INFINITY, "inf"),
        (f64::NAN, "nan"),
    ] {
        assert_eq!(float_repr(float), text);
    }
}

#[test]
fn a_single_output_has_no_name() {
    let output = || tensor(arr2(&[[0.5], [1.5]]), Tensor::Float64);
    assert_eq!(named(vec![("y", output())], Layout::Single), r#"{"predictions": [[0.5], [1.5]]}"#);
    let two = vec![("y", output()), ("z", output())];
    assert_eq!(named(two.clone(), Layout::Single), named(two, Layout::Named));
}
