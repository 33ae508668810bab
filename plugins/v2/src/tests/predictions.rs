//! Tests predictions with MLflow's requests and with requests of the protocol.

use super::*;

const FLOWERS: [&str; 3] = [
    r#"{"dataframe_split": {"columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
        "data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}}"#,
    r#"{"dataframe_records": [
        {"sepal length (cm)": 5.1, "sepal width (cm)": 3.5, "petal length (cm)": 1.4, "petal width (cm)": 0.2},
        {"sepal length (cm)": 6.7, "sepal width (cm)": 3.0, "petal length (cm)": 5.2, "petal width (cm)": 2.3}]}"#,
    r#"{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}"#,
];

const ONE: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;

fn predict(inputs: &str) -> Predict {
    Predict::deployment("iris", Payload::new(JSON, inputs))
}

/// Returns the body of the last request that a server received.
fn last_body(server: &Server) -> Value {
    serde_json::from_slice(&server.requests().last().unwrap().body).unwrap()
}

#[tokio::test]
async fn every_form_of_mlflow_s_requests_has_the_same_predictions() {
    for kind in [V2Kind::Triton, V2Kind::MlServer, V2Kind::KServe] {
        let server = v2::start(kind);
        let client = plain(&server);
        for inputs in FLOWERS {
            if kind == V2Kind::MlServer && inputs.contains("\"inputs\"") {
                // MLflow does not read a list without names as columns.
                continue;
            }
            let answer = client.predict(predict(inputs)).await.unwrap();
            assert_eq!(text(&answer), r#"{"predictions": [0, 1]}"#, "{kind:?} {inputs}");
        }
        let csv = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n6.7,3,5.2,2.3\n";
        let request = Predict::deployment("iris", Payload::new("text/csv", csv));
        assert_eq!(text(&client.predict(request).await.unwrap()), r#"{"predictions": [1]}"#, "{kind:?}");
    }
}

#[tokio::test]
async fn the_columns_of_a_dataframe_are_one_tensor_for_triton() {
    let server = v2::start(V2Kind::Triton);
    plain(&server).predict(predict(FLOWERS[0])).await.unwrap();
    assert_eq!(request_lines(&server), ["GET /v2", "GET /v2/models/iris", "POST /v2/models/iris/infer"]);
    let expected = json!({
        "parameters": {"binary_data_output": true},
        "inputs": [{
            "name": "x", "shape": [2, 4], "datatype": "FP64",
            "data": [5.1, 3.5, 1.4, 0.2, 6.7, 3.0, 5.2, 2.3],
        }],
    });
    assert_eq!(last_body(&server), expected);
}

#[tokio::test]
async fn the_columns_of_a_dataframe_are_tensors_for_mlserver_and_kserve() {
    let server = v2::start(V2Kind::MlServer);
    plain(&server).predict(predict(FLOWERS[0])).await.unwrap();
    let body = last_body(&server);
    // MLServer decodes the tensors by the metadata of its model.
    assert_eq!(body["parameters"], Value::Null);
    let first = json!({"name": "sepal length (cm)", "shape": [2, 1], "datatype": "FP64", "data": [5.1, 6.7]});
    assert_eq!((&body["inputs"][0], body["inputs"].as_array().unwrap().len()), (&first, 4));

    let server = v2::start(V2Kind::KServe);
    plain(&server).predict(predict(FLOWERS[0])).await.unwrap();
    let body = last_body(&server);
    assert_eq!(body["parameters"], json!({"content_type": "pd"}));
    assert_eq!(body["inputs"][0]["parameters"], json!({"content_type": "np"}));
}

#[tokio::test]
async fn parameters_are_sent_beside_the_inputs() {
    let server = v2::start(V2Kind::KServe);
    let inputs = r#"{"inputs": [[1, 2, 3, 4]], "params": {"threshold": 0.5, "names": ["a"]}}"#;
    plain(&server).predict(predict(inputs)).await.unwrap();
    let expected = json!({"threshold": 0.5, "names": ["a"], "content_type": "np"});
    assert_eq!(last_body(&server)["parameters"], expected);
}

#[tokio::test]
async fn large_tensors_are_binary_if_the_server_reads_them() {
    let row = "[6.7, 3.0, 5.2, 2.3]";
    let inputs = format!("{{\"inputs\": [{}]}}", [row; 300].join(","));
    let server = v2::start(V2Kind::Triton);
    let answer: Value = plain(&server).predict(predict(&inputs)).await.unwrap().json().unwrap();
    assert_eq!(answer["predictions"], json!(vec![1; 300]));
    let request = server.requests().pop().unwrap();
    assert_eq!(request.header("content-type"), Some("application/octet-stream"));
    let length: usize = request.header("inference-header-content-length").unwrap().parse().unwrap();
    let head: Value = serde_json::from_slice(&request.body[..length]).unwrap();
    assert_eq!(head["inputs"][0]["parameters"]["binary_data_size"], 300 * 4 * 8);
    assert_eq!(request.body.len(), length + 300 * 4 * 8);

    let server = v2::start(V2Kind::KServe);
    let answer: Value = plain(&server).predict(predict(&inputs)).await.unwrap().json().unwrap();
    assert_eq!(answer["predictions"], json!(vec![1; 300]));
    assert_eq!(server.requests().pop().unwrap().header("content-type"), Some(JSON));
}

#[tokio::test]
async fn a_request_of_the_protocol_and_its_answer_are_unchanged() {
    let request = r#"{"id":"7",  "inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[1.50,2,3,4]}]}"#;
    let reply = r#"{"model_name":"iris",  "outputs":[{"name":"y","datatype":"INT64","shape":[1],"data":[0]}]}"#;
    let server = Server::start([Answer::new(200, reply)]);
    let answer = plain(&server).predict(predict(request)).await.unwrap();
    assert_eq!((text(&answer), answer.content_type()), (reply, JSON));
    assert_eq!(request_lines(&server), ["POST /v2/models/iris/infer"]);
    assert_eq!(server.requests()[0].text(), request);
}

#[tokio::test]
async fn a_binary_request_of_the_protocol_and_its_answer_are_unchanged() {
    let head = r#"{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}"#;
    let body = [head.as_bytes(), &1.5_f32.to_le_bytes()].concat();
    let reply = b"{\"outputs\":[]}\x01\x02".as_slice();
    let answer = Answer::new(200, reply).header("Inference-Header-Content-Length", "14");
    let server = Server::start([answer.header("Content-Type", "application/octet-stream")]);
    let request = Predict::deployment("iris", Payload::new("application/octet-stream", body.clone()));
    let answer = plain(&server).predict(request).await.unwrap();
    assert_eq!((answer.bytes(), answer.content_type()), (reply, "application/octet-stream"));
    let sent = server.requests().pop().unwrap();
    assert_eq!(sent.header("inference-header-content-length"), Some(head.len().to_string().as_str()));
    assert_eq!(sent.body, body);
}

#[tokio::test]
async fn the_config_selects_a_version() {
    for version in [json!("v 1"), json!(1)] {
        let server = v2::start(V2Kind::MlServer);
        let config = Config::new(&json!({"version": version})).unwrap();
        let request = predict(FLOWERS[0]).with_config(config);
        plain(&server).predict(request).await.unwrap();
        let path = server.requests().last().unwrap().path.clone();
        assert!(path == "/v2/models/iris/versions/v%201/infer" || path == "/v2/models/iris/versions/1/infer", "{path}");
    }
    let config = Config::new(&json!({"version": [1]})).unwrap();
    let error = plain(&v2::start(V2Kind::MlServer)).predict(predict(ONE).with_config(config)).await.unwrap_err();
    assert_eq!(error.message(), "invalid `version` `[1]`: expected a name or a number");
}

#[tokio::test]
async fn a_missing_model_is_an_error() {
    for kind in [V2Kind::Triton, V2Kind::MlServer, V2Kind::KServe] {
        let server = v2::start(kind);
        let client = plain(&server);
        let v2_body = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1]}]}"#;
        for inputs in [ONE, v2_body] {
            let error = client.predict(Predict::deployment("nope", Payload::new(JSON, inputs))).await.unwrap_err();
            assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "{kind:?}");
            assert!(error.message().starts_with("no model `nope` is loaded: 404 Client Error"), "{error}");
        }
    }
    // Triton's answers for a model that was unloaded.
    for (status, reply) in [
        (400, r#"{"error":"Request for unknown model: 'iris' has no available versions"}"#),
        (503, r#"{"error":"Request for unknown model: 'iris' has no available versions"}"#),
    ] {
        let server = Server::start([Answer::new(200, TRITON), Answer::new(status, reply)]);
        let error = plain(&server).predict(predict(ONE)).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "{status}");
    }
}

#[tokio::test]
async fn another_server_is_named_as_a_possible_reason() {
    let server = Server::start([Answer::new(404, "<html><title>404</title></html>")]);
    let error = plain(&server).predict(predict(ONE)).await.unwrap_err();
    assert!(error.message().ends_with("set one of a server of the Open Inference Protocol, without `/v2`"), "{error}");
}

#[tokio::test]
async fn a_missing_name_or_missing_inputs_are_an_error() {
    let server = v2::start(V2Kind::Triton);
    let unnamed = Predict { deployment_name: None, ..predict(ONE) };
    let error = plain(&server).predict(unnamed).await.unwrap_err();
    assert_eq!(error.message(), "no deployment given: specify its name");
    let error = plain(&server).predict(predict("")).await.unwrap_err();
    assert!(error.message().starts_with("no inputs given"), "{error}");
    assert!(server.requests().is_empty());
    let by_endpoint = Predict::endpoint("iris", Payload::new(JSON, ONE));
    plain(&server).predict(by_endpoint).await.unwrap();
}

#[tokio::test]
async fn metadata_is_read_once_and_again_after_an_error() {
    let metadata = |name: &str| {
        Answer::new(200, json!({"inputs": [{"name": name, "datatype": "FP32", "shape": [-1]}]}).to_string())
    };
    let reply = Answer::new(200, r#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[0.5]}]}"#);
    let refused = Answer::new(400, r#"{"error":"unexpected inference input 'a'"}"#);
    let server = Server::start([
        Answer::new(200, BARE),
        metadata("a"),
        reply.clone(),
        reply.clone(),
        refused,
        metadata("b"),
        reply.clone(),
        metadata("c"),
        reply,
    ]);
    let client = plain(&server);
    let ask = || client.predict(predict(r#"{"inputs": [1]}"#));
    ask().await.unwrap();
    ask().await.unwrap();
    assert_eq!(ask().await.unwrap_err().code(), &ErrorCode::BAD_REQUEST);
    ask().await.unwrap();
    assert_eq!(last_body(&server)["inputs"][0]["name"], "b");
    let by_name = |name: &str| client.predict(predict(&format!("{{\"inputs\": {{\"{name}\": [1]}}}}")));
    let error = by_name("c").await.unwrap_err();
    assert!(error.message().starts_with("the request lacks `b`"), "{error}");
    by_name("c").await.unwrap();
    assert_eq!(server.requests().len(), 9);
}

#[tokio::test]
async fn several_outputs_are_rows_for_a_dataframe_and_arrays_for_tensors() {
    let outputs = r#"{"outputs": [{"name": "label", "datatype": "BYTES", "shape": [2], "data": ["a", "é"]},
        {"name": "p", "datatype": "FP64", "shape": [2, 2], "data": [0.5, 0.5, 1, null]}]}"#;
    for (inputs, expected) in [
        (FLOWERS[0], r#"{"predictions": [{"label": "a", "p": [0.5, 0.5]}, {"label": "\u00e9", "p": [1.0, NaN]}]}"#),
        (ONE, r#"{"predictions": {"label": ["a", "\u00e9"], "p": [[0.5, 0.5], [1.0, NaN]]}}"#),
    ] {
        let server =
            Server::start([Answer::new(200, BARE), Answer::new(200, r#"{"inputs":[]}"#), Answer::new(200, outputs)]);
        assert_eq!(text(&plain(&server).predict(predict(inputs)).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn the_content_types_of_mlserver_determine_the_form_of_predictions() {
    let np = r#""parameters":{"content_type":"np"}"#;
    let one = |shape: &str, parameters: &str| {
        format!(r#"{{"outputs":[{{"name":"output-1","datatype":"FP64","shape":{shape},"data":[1,2],{parameters}}}]}}"#)
    };
    let frame = r#"{"parameters":{"content_type":"pd"},"outputs":[{"name":"a","datatype":"INT64","shape":[2,1],"data":[1,2]}]}"#;
    let dict = r#"{"parameters":{"content_type":"dict"},"outputs":[{"name":"a","datatype":"INT64","shape":[2,1],"data":[1,2],"parameters":{"content_type":"np"}}]}"#;
    let matrix = r#"{"inputs":[],"outputs":[{"name":"output-0","datatype":"FP64","shape":[-1,1]}]}"#;
    for (metadata, reply, expected) in [
        (r#"{"inputs":[]}"#, one("[2,1]", np), r#"{"predictions": [1.0, 2.0]}"#),
        (r#"{"inputs":[]}"#, one("[1,2]", np), r#"{"predictions": [[1.0, 2.0]]}"#),
        (matrix, one("[2,1]", np), r#"{"predictions": [[1.0], [2.0]]}"#),
        (r#"{"inputs":[]}"#, one("[2,1]", r#""parameters":null"#), r#"{"predictions": [[1.0], [2.0]]}"#),
        (r#"{"inputs":[]}"#, frame.to_owned(), r#"{"predictions": [{"a": 1}, {"a": 2}]}"#),
        (r#"{"inputs":[]}"#, dict.to_owned(), r#"{"predictions": {"a": [1, 2]}}"#),
    ] {
        let server =
            Server::start([Answer::new(200, BARE), Answer::new(200, metadata), Answer::new(200, reply.clone())]);
        assert_eq!(text(&plain(&server).predict(predict(ONE)).await.unwrap()), expected, "{reply}");
    }
}

#[tokio::test]
async fn an_unexpected_answer_is_an_error() {
    for (reply, reason) in [
        (r#"{"outputs":[{"name":"y","datatype":"FP8","shape":[1],"data":[1]}]}"#, "output `y`: unknown type `FP8`"),
        (
            r#"{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1]}]}"#,
            "it has 1 elements, but the shape [2]",
        ),
        (r#"{"outputs":[{"name":"y","datatype":"INT8","shape":[1],"data":[300]}]}"#, "`300` is out of range"),
        (r#"{"outputs":[{"name":"y","datatype":"INT8","shape":[1]}]}"#, "output `y`: it has no `data`"),
        (r#"{"outputs":[]}"#, "the server answered without outputs"),
        ("[1]", "the server did not answer with outputs of the Open Inference Protocol"),
    ] {
        let server =
            Server::start([Answer::new(200, BARE), Answer::new(200, r#"{"inputs":[]}"#), Answer::new(200, reply)]);
        let error = plain(&server).predict(predict(ONE)).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
        assert!(error.message().contains(reason), "{error}");
    }
}
