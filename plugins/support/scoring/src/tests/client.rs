//! Tests that a written request is read as the same inputs, and that an answer is read as the outputs that it contains.
//! Also tests the readers of parameters and of single tensors.

use ndarray::{arr1, arr2};

use crate::{DType, Inputs, Output, Tensor, read_params, read_predictions, read_request, read_tensor, write_request};

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

#[test]
fn the_parameters_of_a_request_are_the_members_of_params() {
    let params = |body: &str| read_params("application/json", body.as_bytes());
    let read = params(r#"{"inputs": [NaN], "params": {"k": 1e0, "l": [true]}}"#).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"k":1.0,"l":[true]}"#);
    for none in [r#"{"inputs": [1]}"#, r#"{"inputs": [1], "params": null}"#] {
        assert!(params(none).unwrap().is_empty(), "{none}");
    }
    assert!(read_params("text/csv", b"params\n1\n").unwrap().is_empty());
    assert_eq!(params(r#"{"inputs": [1], "params": 3}"#).unwrap_err().to_string(), "`params` is not an object");
}

#[test]
fn a_list_is_read_as_a_tensor_of_the_given_type() {
    let read = |json: &str, dtype| read_tensor(json, dtype).map_err(|error| error.to_string());
    assert_eq!(read("[1, 2.5, null]", DType::Float32).unwrap().shape(), [3]);
    assert_eq!(read(" [[1], [2]]", DType::UInt8).unwrap(), Tensor::UInt8(arr2(&[[1], [2]]).into_dyn()));
    assert_eq!(read("[]", DType::Bool).unwrap().shape(), [0]);
    assert_eq!(
        read("[1, 300]", DType::UInt8).unwrap_err(),
        "the input at [1]: `300` is out of range; the model takes `uint8`"
    );
    read("{\"a\": [1]}", DType::Int8).unwrap_err();
}

#[test]
fn a_tensor_of_another_shape_has_the_same_elements() {
    let matrix = Tensor::Float64(arr2(&[[1.0, 2.0], [3.0, 4.0]]).into_dyn());
    let columns = Tensor::Float64(arr2(&[[1.0, 3.0], [2.0, 4.0]]).reversed_axes().into_dyn());
    for tensor in [matrix, columns] {
        assert_eq!(tensor.clone().into_shape(&[4, 1]), numbers(&[1.0, 2.0, 3.0, 4.0]).into_shape(&[4, 1]));
        assert_eq!(tensor.into_shape(&[3]), None);
    }
}
