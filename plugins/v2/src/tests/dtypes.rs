//! Tests every element type, in requests and in answers, in JSON and in binary.

use super::*;

/// Predicts with a model that takes the tensor `x` of the type `datatype`. Returns the request's input with the JSON or
/// the bytes of its elements, and the answer.
async fn ask(
    server_info: &str,
    datatype: &str,
    values: &str,
    reply: Answer,
) -> (Result<Payload>, Option<(Value, Vec<u8>)>) {
    let metadata = json!({"inputs": [{"name": "x", "datatype": datatype, "shape": [-1]}]}).to_string();
    let server = Server::start([Answer::new(200, server_info), Answer::new(200, metadata), reply]);
    let inputs = Payload::new(JSON, format!("{{\"inputs\": {{\"x\": {values}}}}}"));
    let answer = plain(&server).predict(Predict::deployment("m", inputs)).await;
    let request = server.requests().into_iter().nth(2).map(|request| {
        let length = request.header("inference-header-content-length").map(|length| length.parse().unwrap());
        let (head, raw) = request.body.split_at(length.unwrap_or(request.body.len()));
        let head: Value = serde_json::from_slice(head).unwrap();
        (head["inputs"][0].clone(), raw.to_vec())
    });
    (answer, request)
}

fn output(datatype: &str, data: &str) -> Answer {
    Answer::new(
        200,
        format!(r#"{{"outputs": [{{"name": "y", "datatype": "{datatype}", "shape": [2], "data": {data}}}]}}"#),
    )
}

#[tokio::test]
async fn every_type_is_sent_and_read_in_json() {
    for (datatype, values, written, predictions) in [
        ("BOOL", "[true, 0]", "[true,false]", "[true, false]"),
        ("UINT8", "[0, 255]", "[0,255]", "[0, 255]"),
        ("UINT16", "[1.0, \"2\"]", "[1,2]", "[1, 2]"),
        ("UINT32", "[4294967295, 0]", "[4294967295,0]", "[4294967295, 0]"),
        ("UINT64", "[18446744073709551615, 0]", "[18446744073709551615,0]", "[18446744073709551615, 0]"),
        ("INT8", "[-128, 127]", "[-128,127]", "[-128, 127]"),
        ("INT16", "[-32768, 0]", "[-32768,0]", "[-32768, 0]"),
        ("INT32", "[-2147483648, 0]", "[-2147483648,0]", "[-2147483648, 0]"),
        ("INT64", "[-9223372036854775808, 0]", "[-9223372036854775808,0]", "[-9223372036854775808, 0]"),
        ("FP16", "[0.5, 2]", "[0.5,2.0]", "[0.5, 2.0]"),
        (
            "FP32",
            "[0.1, 1e30]",
            "[0.10000000149011612,1.0000000150474662e30]",
            "[0.10000000149011612, 1.0000000150474662e+30]",
        ),
        ("FP64", "[0.1, 1e300]", "[0.1,1e300]", "[0.1, 1e+300]"),
        ("BF16", "[0.5, 2]", "[0.5,2.0]", "[0.5, 2.0]"),
        ("BYTES", "[\"é\", \"\"]", "[\"é\",\"\"]", "[\"\\u00e9\", \"\"]"),
    ] {
        let (answer, request) = ask(BARE, datatype, values, output(datatype, written)).await;
        let (input, raw) = request.unwrap();
        assert_eq!(input["datatype"], datatype);
        assert_eq!(input["data"], serde_json::from_str::<Value>(written).unwrap(), "{datatype}");
        assert!(raw.is_empty());
        assert_eq!(text(&answer.unwrap()), format!("{{\"predictions\": {predictions}}}"), "{datatype}");
    }
}

#[tokio::test]
async fn types_that_triton_takes_only_in_binary_are_sent_in_binary() {
    for (datatype, raw, predictions) in
        [("FP16", vec![0, 0x38, 0, 0x40], "[0.5, 2.0]"), ("BF16", vec![0, 0x3f, 0, 0x40], "[0.5, 2.0]")]
    {
        let size = json!({"binary_data_size": raw.len()});
        let head =
            json!({"outputs": [{"name": "y", "datatype": datatype, "shape": [2], "parameters": size}]}).to_string();
        let reply = Answer::new(200, [head.as_bytes(), &raw].concat());
        let reply = reply.header("Inference-Header-Content-Length", &head.len().to_string());
        let reply = reply.header("Content-Type", "application/octet-stream");
        let (answer, request) = ask(TRITON, datatype, "[0.5, 2]", reply).await;
        let (input, sent) = request.unwrap();
        assert_eq!((input["parameters"]["binary_data_size"].as_u64(), sent), (Some(4), raw), "{datatype}");
        assert_eq!(text(&answer.unwrap()), format!("{{\"predictions\": {predictions}}}"), "{datatype}");
    }
}

#[tokio::test]
async fn a_missing_value_is_refused_by_its_name_and_position() {
    for (datatype, values, message) in [
        (
            "FP64",
            "[1, null]",
            "input `x`, row 1: the value is missing (`null` or `NaN`), and the server takes `FP64` in JSON",
        ),
        (
            "FP32",
            "[NaN, 1]",
            "input `x`, row 0: the value is missing (`null` or `NaN`), and the server takes `FP32` in JSON",
        ),
        ("FP16", "[1, -Infinity]", "input `x`, row 1: the value is infinite, and the server takes `FP16` in JSON"),
        ("INT64", "[1, null]", "input `x` at [1]: the value is missing; the model takes `int64`"),
        ("BOOL", "[null, true]", "input `x` at [0]: the value is missing; the model takes `bool`"),
        ("BYTES", "[\"a\", null]", "input `x` at [1]: the value is missing"),
        ("UINT8", "[256, 1]", "input `x` at [0]: `256` is out of range; the model takes `uint8`"),
        ("INT8", "[1, 0.5]", "input `x` at [1]: `0.5` has a fraction; the model takes `int8`"),
    ] {
        let (answer, request) = ask(BARE, datatype, values, output(datatype, "[]")).await;
        let error = answer.unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
        assert!(request.is_none(), "nothing is sent");
    }
}

#[tokio::test]
async fn a_missing_float_is_sent_as_nan_in_binary() {
    let (answer, request) = ask(TRITON, "FP32", "[1, null]", output("FP32", "[0, 1]")).await;
    let (_, raw) = request.unwrap();
    assert!(raw.len() == 8 && f32::from_le_bytes(raw[4..].try_into().unwrap()).is_nan());
    assert_eq!(text(&answer.unwrap()), r#"{"predictions": [0.0, 1.0]}"#);
}
