//! Checks explanations against the Python package shap and against the definition of Shapley values. Also checks their
//! plots.

use std::fs;
use std::iter::repeat_n;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mlflow_deploy::args::Explain;
use mlflow_deploy::{ClientOptions, Host, JSON, Payload};
use mlflow_deploy_test_support::{cdylib, onnxruntime};
use serde_json::{Value, json};

use super::{FLOWERS, LOCAL, Machine, folder, iris, sample};

/// The largest accepted difference between two numbers that should be equal.
const CLOSE: f64 = 1e-6;

/// Returns all numbers in nested arrays, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap_or_else(|| panic!("{number} is not a number"))],
    }
}

/// Returns the largest difference between corresponding numbers of two nested arrays. Both arrays have the same total
/// number of elements.
fn apart(one: &Value, other: &Value) -> f64 {
    let (one, other) = (numbers(one), numbers(other));
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}

/// Returns the error of an explanation. For each row and output, the base value plus the values of all features should
/// equal the prediction. The error is the largest difference from this.
fn off(explanation: &Value) -> f64 {
    let (base, values) = (numbers(&explanation["base_values"]), &explanation["values"]);
    let mut off = 0.0_f64;
    for (row, prediction) in explanation["predictions"].as_array().unwrap().iter().enumerate() {
        for (output, prediction) in numbers(prediction).into_iter().enumerate() {
            let features = values[row].as_array().unwrap().iter();
            let sum: f64 = features.map(|feature| feature[output].as_f64().unwrap()).sum();
            off = off.max((base[output] + sum - prediction).abs());
        }
    }
    off
}

/// Writes a configuration to a file. Returns the path of the file.
fn config(machine: &Machine, config: &Value) -> std::path::PathBuf {
    let path = machine.0.path().join("config.json");
    fs::write(&path, config.to_string()).unwrap();
    path
}

#[test]
fn values_equal_those_of_the_python_package_shap() {
    let machine = Machine::new();
    let recordings = folder("tests/e2e/explanations");
    let mut compared = 0;
    for file in fs::read_dir(recordings).unwrap() {
        let recording: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        let model = recording["model"].as_str().unwrap();
        let name = format!("model-{compared}");
        machine.create(&name, &folder(model));
        let explain = |more: &str| {
            let explain = machine.ask(&format!("explain -I - --name {name} {more} --config-file"));
            let explained =
                explain.arg(config(&machine, &recording["config"])).stdin(recording["request"].to_string()).run();
            let explanation = explained.json();
            let off = off(&explanation);
            assert!(off < CLOSE, "{model}: the values are {off} from the prediction");
            explanation
        };
        let exact = explain("");
        assert_eq!((&exact["method"], &exact["output"]), (&json!("exact"), &recording["output"]), "{model}");
        let difference = apart(&exact["values"], &recording["values"]);
        assert!(difference < CLOSE, "{model}: {difference} from shap");
        assert!(apart(&exact["base_values"], &recording["base_values"]) < CLOSE, "{model}");

        // The estimate is as accurate as shap's estimate from the same number of predictions. A fixed seed makes the
        // estimate reproducible.
        let estimate = explain("-C method=permutation");
        assert_eq!((&estimate["method"], &estimate["permutations"]), (&json!("permutation"), &json!(10)));
        let (ours, theirs) =
            (apart(&estimate["values"], &recording["values"]), numbers(&recording["estimate_error"])[0]);
        assert!(ours < 2.0 * theirs, "{model}: the estimate is {ours} off, and shap's {theirs}");
        assert_eq!(estimate, explain("-C method=permutation"));

        let predicted = machine.ask(&format!("predict -I - --name {name}")).stdin(recording["request"].to_string());
        let predicted = predicted.run().json()["predictions"].clone();
        let output = recording["output"].as_str().unwrap();
        let predicted = match predicted.as_array() {
            Some(rows) => rows.iter().map(|row| row[output].clone()).collect(),
            None => predicted[output].clone(),
        };
        assert!(apart(&exact["predictions"], &predicted) < CLOSE, "{model}");
        println!("{model}: {difference:e} from shap, estimate {ours:e} off, shap's {theirs:e}");
        compared += 1;
    }
    assert_eq!(compared, 3);
}

#[test]
fn text_column_is_a_feature_and_values_match_the_definition() {
    let machine = Machine::new();
    machine.create("people", &sample("pipeline_two_inputs"));
    let person = |age: f64, city: &str| json!({"age": age, "city": city});
    let background = [person(30.0, "a"), person(70.5, "c")];
    let (age, city) = (52.0, "b");
    let request = json!({"dataframe_records": [person(age, city)]}).to_string();
    let config = config(&machine, &json!({"background": {"dataframe_records": background}}));
    let explained = machine.ask("explain --name people -I - --config-file").arg(config).stdin(&request).run().json();
    assert_eq!(explained["feature_names"], json!(["age", "city"]));
    assert_eq!(explained["data"], json!([[age, city]]));
    assert!(off(&explained) < CLOSE);

    let output = explained["output"].as_str().unwrap();
    let predict = |person: Value| {
        let request = json!({"dataframe_records": [person]}).to_string();
        let answer = machine.ask("predict --name people -I -").stdin(request).run().json();
        numbers(&answer["predictions"][0][output])
    };
    let whole = predict(person(age, city));
    let mut expected = vec![[0.0, 0.0]; whole.len()];
    for behind in &background {
        let empty = predict(behind.clone());
        let only_age = predict(person(age, behind["city"].as_str().unwrap()));
        let only_city = predict(person(behind["age"].as_f64().unwrap(), city));
        for (place, expected) in expected.iter_mut().enumerate() {
            let (whole, empty, age, city) = (whole[place], empty[place], only_age[place], only_city[place]);
            expected[0] += ((age - empty) + (whole - city)) / 4.0;
            expected[1] += ((city - empty) + (whole - age)) / 4.0;
        }
    }
    for (place, expected) in expected.iter().enumerate() {
        for feature in 0..2 {
            let value = explained["values"][0][feature][place].as_f64().unwrap();
            assert!((value - expected[feature]).abs() < CLOSE, "{value} for {}: {explained}", expected[feature]);
        }
    }
    assert!(expected.iter().any(|[_, city]| city.abs() > 1e-3), "the city matters");
}

#[test]
fn classifier_explanation_has_probabilities_and_labels() {
    let machine = Machine::new();
    machine.create("names", &sample("logistic_zipmap_names"));
    let rows = r#"{"dataframe_split": {"columns": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
        "data": [[5.1, 3.5, 1.4, 0.2], [6.9, 3.2, 5.7, 2.3]]}}"#;
    let background = machine.0.path().join("rows.csv");
    fs::write(&background, "sepal_length,sepal_width,petal_length,petal_width\n5,2,3.5,1\n5.5,2.6,4.4,1.2\n").unwrap();
    let explain = machine.ask("explain --name names -I - -C").arg(format!("background={}", background.display()));
    let explained = explain.stdin(rows).run().json();
    let mut names: Vec<&str> =
        explained["output_names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    names.sort_unstable();
    let output = explained["output"].as_str().unwrap();
    assert_eq!(names, ["setosa", "versicolor", "virginica"].map(|label| format!("{output}[{label}]")));
    assert_eq!(explained["background_rows"], 2);
    assert!(off(&explained) < CLOSE);
}

#[test]
fn input_example_is_the_default_background() {
    let machine = Machine::new();
    machine.create("iris", &sample("onnx_iris_tensor"));
    let rows = r#"{"inputs": [[6.2, 3.4, 5.4, 2.3]]}"#;
    let names = r#"feature_names:=["a","b","c","d"]"#;
    let explained = machine.ask("explain --name iris -I - -C").arg(names).stdin(rows).run().json();
    assert_eq!((&explained["background_rows"], &explained["feature_names"]), (&json!(2), &json!(["a", "b", "c", "d"])));
    assert!(off(&explained) < CLOSE);
    let label = machine.ask("explain --name iris -I - -C output=label").stdin(rows).run().json();
    assert_eq!((&label["output_names"], &label["base_values"]), (&json!(["label"]), &json!([0.0])));
    // An endpoint explains with the deployment that its traffic goes to.
    for made in ["create-endpoint --endpoint flowers", "update-endpoint --endpoint flowers -C .traffic.iris:=1"] {
        assert_eq!(machine.ask(made).run().code, 0);
    }
    let through = machine.ask("explain --endpoint flowers -I - -C").arg(names).stdin(rows).run().json();
    assert_eq!(through, explained);
}

#[test]
fn explained_rows_are_the_background_of_a_model_without_an_input_example() {
    let machine = Machine::new();
    machine.create("cols", &iris());
    let mut rows: Value = serde_json::from_str(FLOWERS).unwrap();
    rows["dataframe_split"]["data"].as_array_mut().unwrap().push(json!([6.9, 3.2, 5.7, 2.3]));
    let alone = machine.ask("explain --name cols -I -").stdin(rows.to_string()).run();
    assert_eq!(alone.stderr.matches("the explained rows are the background").count(), 1, "{alone:?}");
    assert!(alone.stderr.contains("set the config `background` to rows"), "{alone:?}");
    // The values are exact, and the same rows as the config `background` give the same values without the warning.
    let config = config(&machine, &json!({"background": rows}));
    let given = machine.ask("explain --name cols -I - --config-file").arg(config).stdin(rows.to_string()).run();
    assert_eq!(given.stderr, "");
    let explained = alone.json();
    assert_eq!((&explained["method"], &explained["background_rows"]), (&json!("exact"), &json!(3)));
    assert_eq!(explained, given.json());
    assert!(off(&explained) < CLOSE);
    // The rows that are explained are also the background, so the base value is the mean of their predictions.
    let predictions = explained["predictions"].as_array().unwrap();
    for (output, base) in numbers(&explained["base_values"]).into_iter().enumerate() {
        let sum: f64 = predictions.iter().map(|row| numbers(row)[output]).sum();
        assert!((sum / 3.0 - base).abs() < CLOSE, "{explained}");
    }
}

#[tokio::test]
async fn warning_about_the_background_is_one_event_of_the_library() {
    let machine = Machine::new();
    machine.create("cols", &iris());
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let host = Host::builder().plugin(cdylib::path(LOCAL));
    let host = host.on_event(move |event| heard.lock().unwrap().push(event.event.message)).build();
    let options = json!({"state_dir": machine.state_dir(), "onnxruntime": onnxruntime::folder()});
    let options = ClientOptions::new(&options).unwrap();
    let client = host.get_deploy_client_with(Some("local"), &options).await.unwrap();
    client.explain(Explain::deployment("cols", Payload::new(JSON, FLOWERS))).await.unwrap();
    let warnings = warnings.lock().unwrap();
    let about = warnings.iter().filter(|message| message.contains("the explained rows are the background"));
    assert_eq!(about.count(), 1, "{warnings:?}");
}

#[test]
fn model_with_a_fixed_number_of_rows_is_explained() {
    let machine = Machine::new();
    machine.create("two", &sample("two_rows"));
    let config = config(&machine, &json!({"background": {"inputs": [[0, 0, 0]]}}));
    let explain =
        machine.ask("explain --name two -I - --config-file").arg(config).stdin(r#"{"inputs": [[1, 0.5, -1]]}"#);
    let explained = explain.run().json();
    assert!(off(&explained) < CLOSE);
    // The three features add 1, -1 and -0.5 to 0, and the model returns the sigmoid of the sum.
    let sigmoid = |sum: f64| 1.0 / (1.0 + (-sum).exp());
    let values = [1.0, -1.0, -0.5].map(|own| {
        let others: Vec<f64> = [1.0, -1.0, -0.5].into_iter().filter(|other| *other != own).collect();
        let gain = |before: f64| sigmoid(before + own) - sigmoid(before);
        gain(0.0) / 3.0 + (gain(others[0]) + gain(others[1])) / 6.0 + gain(others[0] + others[1]) / 3.0
    });
    assert!(apart(&explained["values"], &json!(values)) < CLOSE, "{values:?}: {explained}");
}

#[test]
fn invalid_explain_arguments_are_rejected() {
    let machine = Machine::new();
    machine.create("cols", &iris());
    machine.create("tensor", &sample("onnx_iris_tensor"));
    const FLOWER: &str = "{\"dataframe_records\": [{\"sepal length (cm)\": 5.1, \"sepal width (cm)\": 3.5, \
                          \"petal length (cm)\": 1.4, \"petal width (cm)\": 0.2}]}";
    for (arguments, input, said) in [
        ("--name cols", FLOWER, "1 explained row cannot be its own background; set the config `background` to rows"),
        ("--name cols -C background=/no/such.json", FLOWERS, "failed to read the background `/no/such.json`"),
        ("--name cols -C background:={\"inputs\":[[1]]}", FLOWERS, "failed to read the background: "),
        (
            "--name tensor -C output=logits",
            r#"{"inputs": [[1, 2, 3, 4]]}"#,
            "`label` (integers or booleans), `probabilities` (floats)",
        ),
        ("--name tensor -C nsamples=5", r#"{"inputs": [[1, 2, 3, 4]]}"#, "nsamples"),
        ("--name tensor -C permutations=0", r#"{"inputs": [[1, 2, 3, 4]]}"#, "a whole number from 1"),
        ("--name tensor -C feature_names:=[\"a\"]", r#"{"inputs": [[1, 2, 3, 4]]}"#, "has 1 names: expected 4"),
        ("--name tensor", r#"{"inputs": [[1, 2, 3]]}"#, "shape"),
    ] {
        let ran = machine.ask(&format!("explain -I - {arguments}")).stdin(input).run();
        assert!(ran.code != 0 && ran.stderr.contains(said), "{arguments}: {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments}");
    }
}

#[test]
fn deadline_ends_a_long_explanation() {
    let machine = Machine::new();
    machine.create("mlp", &sample("onnx_mlp"));
    let recording = folder("tests/e2e/explanations").join("onnx_mlp.json");
    let recording: Value = serde_json::from_slice(&fs::read(recording).unwrap()).unwrap();
    let config = config(&machine, &recording["config"]);
    let rows: Vec<_> = repeat_n(recording["request"]["inputs"]["x"].as_array().unwrap(), 10_000).flatten().collect();
    let explain = machine.ask("explain --name mlp -I - -C method=exact --timeout 1 --config-file").arg(config);
    let ran = explain.stdin(json!({"inputs": {"x": rows}}).to_string()).run();
    assert_eq!(ran.code, 6, "{ran:?}");
}

#[test]
fn explanation_is_plotted_and_a_failed_plot_leaves_no_file() {
    let machine = Machine::new();
    machine.create("iris", &sample("onnx_iris_tensor"));
    let rows = r#"{"inputs": [[6.2, 3.4, 5.4, 2.3], [5.0, 3.0, 1.5, 0.2]]}"#;
    let draw = |file: &Path, more: &str| {
        machine.ask(&format!("explain --name iris -I - {more} --plot")).arg(file).stdin(rows).run()
    };
    let file = machine.0.path().join("why.svg");
    let drawn = draw(&file, "--plot-row 1");
    assert!(off(&drawn.json()) < CLOSE, "the answer is printed too");
    let picture = fs::read_to_string(&file).unwrap();
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
    assert!(picture.contains("Contributions to probabilities[0] of row 1"), "{picture}");

    fs::remove_file(&file).unwrap();
    let wrong = draw(&file, "--plot-row 2");
    assert_eq!((wrong.code, off(&serde_json::from_str(&wrong.stdout).unwrap()) < CLOSE), (2, true), "{wrong:?}");
    assert!(wrong.stderr.contains("row 2 to plot does not exist"), "{wrong:?}");
    let wrong = draw(&file, "--plot-output label");
    assert!(
        wrong.stderr.contains("output `label` to plot does not exist: the explanation has `probabilities[0]`"),
        "{wrong:?}"
    );
    let wrong = draw(&machine.0.path().join("why.png"), "");
    assert!(wrong.code == 2 && wrong.stderr.contains("ends in `.svg`"), "{wrong:?}");
    let left: Vec<_> = fs::read_dir(machine.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["state"], "no file is left");
}
