//! Tests that a written request is read as the same inputs, and that an answer is read as the outputs that it contains.

use ndarray::{arr1, arr2};

use crate::{Inputs, Output, Tensor, read_predictions, read_request, write_request};

fn numbers(values: &[f64]) -> Tensor {
    Tensor::Float64(arr1(values).into_dyn())
}

#[test]
fn a_written_request_is_read_as_the_same_inputs() {
    let texts = Tensor::String(arr1(&["é\"".to_owned(), "predictions".to_owned()]).into_dyn());
    for inputs in [
        Inputs::Frame(vec![("predictions".to_owned(), numbers(&[0.5, 1e300])), ("b".to_owned(), texts)]),
        Inputs::Named(vec![("x".to_owned(), numbers(&[0.1, -2.5])), ("y".to_owned(), numbers(&[1.5]))]),
        Inputs::Single(Tensor::Float64(arr2(&[[0.5, f64::INFINITY], [1.5, 3.25]]).into_dyn())),
    ] {
        let written = write_request(inputs.clone());
        assert_eq!(read_request("application/json", written.as_bytes(), None).unwrap(), inputs, "{written}");
    }
}

#[test]
fn predictions_are_read_as_an_output_for_each_name() {
    let output = |name: &str, tensor| (name.to_owned(), Output::Tensor(tensor));
    for (answer, expected) in [
        (r#"{"predictions": [0.5, 1.5]}"#, vec![output("predictions", numbers(&[0.5, 1.5]))]),
        (
            r#"{"predictions": [{"a": 0.5, "b": 2.5}, {"a": 1.5, "b": NaN}]}"#,
            vec![output("a", numbers(&[0.5, 1.5])), output("b", numbers(&[2.5, f64::NAN]))],
        ),
        (r#"{"predictions": {"y": [0.5]}}"#, vec![output("y", numbers(&[0.5]))]),
    ] {
        // Compared as text: `NaN` does not equal itself.
        assert_eq!(format!("{:?}", read_predictions(answer.as_bytes()).unwrap()), format!("{expected:?}"), "{answer}");
    }
    for answer in ["", "{}", "[1]", r#"{"predictions": null}"#, r#"{"predictions": [[1], [2, 3]]}"#] {
        read_predictions(answer.as_bytes()).unwrap_err();
    }
}
