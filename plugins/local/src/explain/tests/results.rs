//! Tests how `explain` selects the output, and which JSON it returns.

use mlflow_deploy_shapley::Attribution;
use ndarray::{Array2, arr1, arr2, array};
use serde_json::json;

use crate::explain::document::{ExplainDocument, ShapleyValues};
use crate::explain::outputs::ExplainedOutput;
use mlflow_deploy_scoring::{Output, Tensor};

fn label() -> (String, Output) {
    ("label".to_owned(), Output::Tensor(Tensor::Int64(arr1(&[1, 0]).into_dyn())))
}

fn species() -> (String, Output) {
    let names = arr1(&["setosa", "virginica"]).mapv(str::to_owned);
    ("species".to_owned(), Output::Tensor(Tensor::String(names.into_dyn())))
}

fn probabilities() -> (String, Output) {
    ("probabilities".to_owned(), Output::Tensor(Tensor::Float32(arr2(&[[0.25, 0.75], [0.5, 0.5]]).into_dyn())))
}

fn maps(second: &[(&str, f32)]) -> (String, Output) {
    let map = |entries: &[(&str, f32)]| entries.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect();
    ("scores".to_owned(), Output::Maps(vec![map(&[("no", 0.75), ("yes", 0.25)]), map(second)]))
}

fn explained(outputs: Vec<(String, Output)>, requested: Option<&str>) -> (String, Vec<String>, Array2<f64>) {
    let ExplainedOutput { name, columns, values } = ExplainedOutput::choose(outputs, requested, 2).unwrap();
    (name, columns, values)
}

#[test]
fn probabilities_are_preferred_to_labels() {
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = (
        "probabilities".to_owned(),
        columns(&["probabilities[0]", "probabilities[1]"]),
        array![[0.25, 0.75], [0.5, 0.5]],
    );
    assert_eq!(explained(vec![species(), label(), probabilities()], None), expected);
    assert_eq!(explained(vec![label(), species()], None).0, "label");
    let expected = ("label".to_owned(), columns(&["label"]), array![[1.0], [0.0]]);
    assert_eq!(explained(vec![probabilities(), label()], Some("label")), expected);
    // The keys of a classifier's maps may have a different order in every row.
    let expected = ("scores".to_owned(), columns(&["scores[no]", "scores[yes]"]), array![[0.75, 0.25], [0.375, 0.625]]);
    assert_eq!(explained(vec![label(), maps(&[("yes", 0.625), ("no", 0.375)])], None), expected);
}

#[test]
fn an_invalid_output_is_rejected_with_a_list_of_outputs() {
    let message = |outputs: Vec<(String, Output)>, requested: Option<&str>, rows: usize| {
        ExplainedOutput::choose(outputs, requested, rows).unwrap_err().message().to_owned()
    };
    assert_eq!(
        message(vec![label(), probabilities(), species()], Some("logits"), 2),
        "the model has no output `logits`: the model's outputs are `label` (integers or booleans), `probabilities` \
         (floats), `species` (no numbers)"
    );
    assert!(message(vec![species()], None, 2).starts_with("only outputs of numbers can be explained: "));
    assert!(message(vec![label(), species()], Some("species"), 2).starts_with("the output `species` has no numbers"));
    assert!(message(vec![probabilities()], None, 3).contains("does not have the same number of values for every row"));
    assert!(
        message(vec![maps(&[("no", 1.0)])], None, 2).contains("does not have the same number of values for every row")
    );
    assert!(message(vec![maps(&[("no", 1.0), ("maybe", 0.0)])], None, 2).contains("the same number of values"));
}

#[test]
fn the_document_has_the_names_and_axes_of_shap() {
    // The attribution is that of the model `[a + 2 b, -a]`, against a background of zeros.
    let attribution = Attribution {
        base: array![0.0, 0.0],
        predictions: array![[3.0, -1.0], [-6.0, 0.0]],
        values: array![[[1.0, -1.0], [2.0, 0.0]], [[0.0, 0.0], [-6.0, 0.0]]],
    };
    let document = ExplainDocument {
        method: "exact",
        permutations: None,
        background_rows: 1,
        output: "y".to_owned(),
        output_names: vec!["y[0]".to_owned(), "y[1]".to_owned()],
        feature_names: vec!["a".to_owned(), "b".to_owned()],
        values: ShapleyValues::from(attribution),
        data: vec![vec![json!(1.0), json!(1.0)], vec![json!(0.0), json!(-3.0)]],
    };
    assert_eq!(
        serde_json::to_value(document).unwrap(),
        json!({
            "method": "exact",
            "background_rows": 1,
            "output": "y",
            "output_names": ["y[0]", "y[1]"],
            "feature_names": ["a", "b"],
            "base_values": [0.0, 0.0],
            "importance": [[0.5, 0.5], [4.0, 0.0]],
            "predictions": [[3.0, -1.0], [-6.0, 0.0]],
            "values": [[[1.0, -1.0], [2.0, 0.0]], [[0.0, 0.0], [-6.0, 0.0]]],
            "data": [[1.0, 1.0], [0.0, -3.0]],
        })
    );
}
