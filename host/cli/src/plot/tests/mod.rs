//! Tests of the plots: a real explanation, edge cases of values and names, and invalid explanations.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::chart::MAX_BARS;
use super::{explanation, importance, label, waterfall};
use crate::args::PlotArguments;
use crate::report::CliError;

const IRIS: &str = include_str!("iris.json");

fn arguments(row: usize, output: Option<&str>) -> PlotArguments {
    PlotArguments { path: None, row, output: output.map(str::to_owned) }
}

fn svg(explanation: &str, arguments: &PlotArguments) -> Result<String, String> {
    super::svg(explanation.as_bytes(), arguments).map_err(|error| match error {
        CliError::Input(message) => message,
        other => panic!("{other:?}"),
    })
}

/// Compares the plot with the expected SVG file. With the environment variable `TRYCMD=overwrite`, replaces the file.
/// Review the new file before you commit it.
#[test]
fn plot_of_the_iris_explanation_is_unchanged() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("explain.svg");
    let plot = svg(IRIS, &arguments(1, None)).unwrap();
    if std::env::var_os("TRYCMD").is_some_and(|value| value == "overwrite") {
        fs::write(&path, &plot).unwrap();
    }
    assert!(plot == fs::read_to_string(&path).unwrap(), "the plot differs from {}", path.display());
}

/// Returns an explanation of one row and one output. `values` are the contributions of the features.
fn explanation_of(base: f64, values: &[f64]) -> Value {
    let names: Vec<String> = (0..values.len()).map(|feature| format!("feature {feature}")).collect();
    let column: Vec<[f64; 1]> = values.iter().map(|value| [*value]).collect();
    json!({
        "output_names": ["y"],
        "feature_names": names,
        "base_values": [base],
        "importance": values.iter().map(|value| [value.abs()]).collect::<Vec<_>>(),
        "predictions": [[values.iter().sum::<f64>() + base]],
        "values": [column],
        "data": [values],
    })
}

#[test]
fn steps_lead_from_the_base_value_to_the_prediction_largest_first() {
    let view = explanation::read(IRIS.as_bytes(), &arguments(1, None)).unwrap();
    assert_eq!(view.output, "probabilities[1]", "the row's largest output");
    let steps = waterfall::steps(&view);
    assert!(steps.windows(2).all(|pair| (pair[0].to - pair[1].from).abs() < 1e-6), "{steps:?}");
    assert_eq!((steps[0].name.as_str(), steps[0].to), ("base value", view.base));
    assert_eq!((steps[5].name.as_str(), steps[5].to), ("prediction", view.prediction));
    let changes: Vec<f64> = steps[1..5].iter().map(|step| (step.to - step.from).abs()).collect();
    assert!(changes.is_sorted_by(|one, next| one >= next), "{changes:?}");
}

#[test]
fn features_beyond_the_maximum_share_the_last_bar() {
    let values: Vec<f64> = (0..40).map(f64::from).collect();
    let sample = explanation_of(1.0, &values).to_string();
    let view = explanation::read(sample.as_bytes(), &arguments(0, None)).unwrap();
    let (bars, steps) = (importance::bars(&view), waterfall::steps(&view));
    assert_eq!((bars.len(), steps.len()), (MAX_BARS, MAX_BARS + 2));
    let others: f64 = (0..29).map(f64::from).sum();
    assert_eq!(bars[MAX_BARS - 1], ("29 other features".to_owned(), others));
    assert_eq!(steps[MAX_BARS].name, "29 other features");
    assert_eq!(steps[MAX_BARS].to - steps[MAX_BARS].from, others);
}

#[test]
fn svg_of_extreme_values_succeeds_up_to_the_maximum() {
    for (base, values) in [
        (0.0, vec![0.0]),
        (0.0, vec![0.0, 0.0]),
        (1e9, vec![1e-9, -1e-9]),
        (5e-324, vec![5e-324]),
        (-1e99, vec![1e99, 1e-99]),
        (1e99, vec![1e99]),
        (-3.5, vec![-0.5, 0.25]),
        (0.1, vec![1e-17; 3]),
    ] {
        svg(&explanation_of(base, &values).to_string(), &arguments(0, None)).unwrap();
    }
    let error = svg(&explanation_of(0.0, &[1e101]).to_string(), &arguments(0, None)).unwrap_err();
    assert!(error.contains("values of magnitude 1e101"), "{error}");
}

#[test]
fn names_are_escaped_for_xml_and_truncated() {
    let mut sample = explanation_of(0.0, &[1.0, 2.0]);
    sample["feature_names"] = json!(["<&\u{1b}[31m\u{ffff}\">", "a name without an end ".repeat(9)]);
    sample["output_names"] = json!(["</svg>\u{fffe}\u{0}\n"]);
    let plot = svg(&sample.to_string(), &arguments(0, None)).unwrap();
    assert!(plot.contains(r"&lt;&amp;\u{1b}[31m\u{ffff}&quot;&gt; = 1"), "{plot}");
    assert!(plot.contains(r"Feature importance for &lt;/svg&gt;\u{fffe}\u{0}\n"), "{plot}");
    assert!(plot.contains("a name without an end a name … = 2"), "{plot}");
    assert_eq!(plot.matches("</svg>").count(), 1);
    let is_xml = |letter| matches!(letter, '\n' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    assert!(plot.chars().all(is_xml), "{plot}");
}

#[test]
fn number_has_four_significant_digits() {
    let numbers = [0.0, 1.0, -0.25, 0.123456, 123.456, 1234567.0, 0.00001234, 999_999.5, 1e-4];
    let texts: Vec<String> = numbers.into_iter().map(label::number).collect();
    assert_eq!(texts, ["0", "1", "-0.25", "0.1235", "123.5", "1.23e6", "1.23e-5", "1000000", "0.0001"]);
    assert_eq!([label::change(0.5), label::change(-0.5), label::change(0.0)], ["+0.5", "-0.5", "0"]);
}

#[test]
fn svg_of_an_invalid_explanation_row_or_output_fails() {
    let fails = |explanation: &str, row, output| svg(explanation, &arguments(row, output)).unwrap_err();
    assert!(
        fails("\"1\"", 0, None)
            .starts_with("cannot plot the result: expected an explanation in the format of the target")
    );
    assert!(fails("{}", 0, None).ends_with("missing field `output_names` at line 1 column 2"));
    assert!(fails("", 0, None).starts_with("cannot plot the result"));
    assert_eq!(fails(IRIS, 6, None), "row 6 to plot does not exist: the explanation has 6 rows, counted from 0");
    assert_eq!(
        fails(IRIS, 0, Some("label")),
        "output `label` to plot does not exist: the explanation has `probabilities[0]`, `probabilities[1]`, \
         `probabilities[2]`"
    );
    for member in ["base_values", "importance", "predictions", "values", "data"] {
        let mut sample: Value = serde_json::from_str(IRIS).unwrap();
        sample[member].as_array_mut().unwrap().pop();
        let error = fails(&sample.to_string(), 0, None);
        assert!(error.contains("has the wrong dimensions"), "{member}: {error}");
    }
    let nothing = json!({"output_names": [], "feature_names": [], "base_values": [], "importance": [],
        "predictions": [[]], "values": [[]], "data": [[]]});
    assert!(fails(&nothing.to_string(), 0, None).contains("has the wrong dimensions"));
}
