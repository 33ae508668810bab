//! The picture of a real explanation, and what cannot be drawn.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{MAX_BARS, explanation, importance, label, waterfall};
use crate::args::PlotArguments;
use crate::report::CliError;

const IRIS: &str = include_str!("iris.json");

fn arguments(row: usize, output: Option<&str>) -> PlotArguments {
    PlotArguments { path: None, row, output: output.map(str::to_owned) }
}

fn svg(answer: &str, arguments: &PlotArguments) -> Result<String, String> {
    super::svg(answer.as_bytes(), arguments).map_err(|failure| match failure {
        CliError::Input(message) => message,
        other => panic!("{other:?}"),
    })
}

/// `TRYCMD=overwrite` writes down what is drawn, as for the transcripts; look at it before it is kept.
#[test]
fn the_picture_of_a_flower_is_as_it_was_looked_at() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("explain.svg");
    let drawn = svg(IRIS, &arguments(1, None)).unwrap();
    if std::env::var_os("TRYCMD").is_some_and(|wish| wish == "overwrite") {
        fs::write(&path, &drawn).unwrap();
    }
    assert!(drawn == fs::read_to_string(&path).unwrap(), "the plot is another than {}", path.display());
}

/// An explanation of one row with one output, by the values of its features.
fn explained(base: f64, values: &[f64]) -> Value {
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
fn the_steps_lead_from_the_base_value_to_the_prediction_and_the_largest_is_first() {
    let view = explanation::read(IRIS.as_bytes(), &arguments(1, None)).unwrap();
    assert_eq!(view.output, "probabilities[1]", "the largest of the row");
    let steps = waterfall::steps(&view);
    assert!(steps.windows(2).all(|pair| (pair[0].to - pair[1].from).abs() < 1e-6), "{steps:?}");
    assert_eq!((steps[0].name.as_str(), steps[0].to), ("base value", view.base));
    assert_eq!((steps[5].name.as_str(), steps[5].to), ("prediction", view.prediction));
    let changes: Vec<f64> = steps[1..5].iter().map(|step| (step.to - step.from).abs()).collect();
    assert!(changes.is_sorted_by(|one, next| one >= next), "{changes:?}");
}

#[test]
fn many_features_share_the_last_bar() {
    let values: Vec<f64> = (0..40).map(f64::from).collect();
    let answer = explained(1.0, &values).to_string();
    let view = explanation::read(answer.as_bytes(), &arguments(0, None)).unwrap();
    let (bars, steps) = (importance::bars(&view), waterfall::steps(&view));
    assert_eq!((bars.len(), steps.len()), (MAX_BARS, MAX_BARS + 2));
    let others: f64 = (0..29).map(f64::from).sum();
    assert_eq!(bars[MAX_BARS - 1], ("29 others together".to_owned(), others));
    assert_eq!(steps[MAX_BARS].name, "29 others together");
    assert_eq!(steps[MAX_BARS].to - steps[MAX_BARS].from, others);
}

#[test]
fn any_numbers_can_be_drawn_but_those_beyond_an_axis() {
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
        svg(&explained(base, &values).to_string(), &arguments(0, None)).unwrap();
    }
    let error = svg(&explained(0.0, &[1e101]).to_string(), &arguments(0, None)).unwrap_err();
    assert!(error.contains("numbers of the size 1e101"), "{error}");
}

#[test]
fn names_are_safe_in_xml_and_not_too_long() {
    let mut answer = explained(0.0, &[1.0, 2.0]);
    answer["feature_names"] = json!(["<&\u{1b}[31m\u{ffff}\">", "a name without an end ".repeat(9)]);
    answer["output_names"] = json!(["</svg>\u{fffe}\u{0}\n"]);
    let drawn = svg(&answer.to_string(), &arguments(0, None)).unwrap();
    assert!(drawn.contains(r"&lt;&amp;\u{1b}[31m\u{ffff}&quot;&gt; = 1"), "{drawn}");
    assert!(drawn.contains(r"What matters for &lt;/svg&gt;\u{fffe}\u{0}\n"), "{drawn}");
    assert!(drawn.contains("a name without an end a name … = 2"), "{drawn}");
    assert_eq!(drawn.matches("</svg>").count(), 1);
    let is_xml = |letter| matches!(letter, '\n' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    assert!(drawn.chars().all(is_xml), "{drawn}");
}

#[test]
fn numbers_have_the_digits_that_one_reads() {
    let numbers = [0.0, 1.0, -0.25, 0.123456, 123.456, 1234567.0, 0.00001234, 999_999.5, 1e-4];
    let texts: Vec<String> = numbers.into_iter().map(label::number).collect();
    assert_eq!(texts, ["0", "1", "-0.25", "0.1235", "123.5", "1.23e6", "1.23e-5", "1000000", "0.0001"]);
    assert_eq!([label::change(0.5), label::change(-0.5), label::change(0.0)], ["+0.5", "-0.5", "0"]);
}

#[test]
fn what_is_no_explanation_or_has_no_such_row_is_refused() {
    let refused = |answer: &str, row, output| svg(answer, &arguments(row, output)).unwrap_err();
    assert!(refused("\"1\"", 0, None).starts_with("the answer cannot be plotted: it is no explanation as the target"));
    assert!(refused("{}", 0, None).ends_with("missing field `output_names` at line 1 column 2"));
    assert!(refused("", 0, None).starts_with("the answer cannot be plotted"));
    assert_eq!(refused(IRIS, 6, None), "there is no row 6 to plot: the answer explains 6, counted from 0");
    assert_eq!(
        refused(IRIS, 0, Some("label")),
        "there is no output `label` to plot: the answer explains `probabilities[0]`, `probabilities[1]`, \
         `probabilities[2]`"
    );
    for member in ["base_values", "importance", "predictions", "values", "data"] {
        let mut answer: Value = serde_json::from_str(IRIS).unwrap();
        answer[member].as_array_mut().unwrap().pop();
        let error = refused(&answer.to_string(), 0, None);
        assert!(error.contains("has another size"), "{member}: {error}");
    }
    let nothing = json!({"output_names": [], "feature_names": [], "base_values": [], "importance": [],
        "predictions": [[]], "values": [[]], "data": [[]]});
    assert!(refused(&nothing.to_string(), 0, None).contains("has another size"));
}
