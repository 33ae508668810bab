//! Asynchronous predictions: the place of the inputs, the wait for the output, and failures.

use mlflow_deploy_plugin_api::args::Invoke;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Payload};
use mlflow_deploy_test_support::server::{Answer, Server};

use super::*;

/// The operation of an asynchronous prediction for the endpoint `iris`.
fn predict_async(config: &Value) -> Invoke {
    let inputs = Payload::new("application/json", r#"{"inputs": [1]}"#.as_bytes().to_vec());
    Invoke {
        operation: "predict-async".to_owned(),
        name: Some("iris".to_owned()),
        inputs,
        config: Config::new(config).unwrap(),
        ..Invoke::default()
    }
}

/// Starts a server whose output appears with the third request for it, as this status and body. Requests for the failure
/// answer `failure`.
fn server(output: &'static str, failure: Option<&'static str>) -> Server {
    let polls = std::sync::atomic::AtomicUsize::new(0);
    let missing = || Answer::new(404, "<Error><Code>NoSuchKey</Code><Message>m</Message></Error>");
    Server::answering(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("PUT", _) => Answer::status(200),
        ("POST", "/endpoints/iris/async-invocations") => Answer::new(202, r#"{"InferenceId": "i1"}"#)
            .header("X-Amzn-SageMaker-OutputLocation", "s3://models/out/i1.out")
            .header("X-Amzn-SageMaker-FailureLocation", "s3://models/fail/i1.err"),
        ("GET", "/models/out/i1.out") => match polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            2.. if failure.is_none() => Answer::new(200, output),
            _ => missing(),
        },
        ("GET", _) => failure.map_or_else(missing, |failure| Answer::new(200, failure)),
        _ => Answer::status(500),
    })
}

async fn run(server: &Server, config: Value) -> Result<Payload, Error> {
    let client = client("sagemaker", &json!({"poll_interval": 0.05}), &[("AWS_ENDPOINT_URL", &server.url())]).unwrap();
    client.invoke(predict_async(&config)).await
}

#[tokio::test]
async fn the_inputs_are_uploaded_and_the_output_is_awaited() {
    let server = server(r#"{"predictions": [3]}"#, None);
    let answer = run(&server, json!({"bucket": "models"})).await.unwrap();
    assert_eq!(answer.bytes(), br#"{"predictions": [3]}"#);
    let requests = server.requests();
    let path = requests[0].path.clone();
    assert!(path.starts_with("/models/async-inference/iris/") && requests[0].text() == r#"{"inputs": [1]}"#, "{path}");
    let place = format!("s3:/{path}");
    assert_eq!(requests[1].header("x-amzn-sagemaker-inputlocation"), Some(place.as_str()));
    assert_eq!(requests[1].body, b"");
}

#[tokio::test]
async fn without_a_wait_the_place_of_the_output_is_returned() {
    let server = server("", None);
    let answer: Value =
        run(&server, json!({"input": "s3://models/in.json", "wait": false})).await.unwrap().json().unwrap();
    assert_eq!(
        answer,
        json!({"input": "s3://models/in.json", "output": "s3://models/out/i1.out", "failure": "s3://models/fail/i1.err", "inference_id": "i1"})
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_failure_and_the_end_of_the_time_are_errors() {
    let failing = server("", Some("the model is broken"));
    let error = run(&failing, json!({"input": "s3://models/in.json"})).await.unwrap_err();
    assert_eq!(error.message(), "the asynchronous prediction failed: the model is broken");
    let server = server("", None);
    let error = run(&server, json!({"input": "s3://models/in.json", "timeout": 0.01})).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED, "{error}");
    for (config, message) in [
        (json!({"input": "models/in.json"}), "invalid place `models/in.json` in S3"),
        (json!({"buckets": "b"}), "unknown config key `buckets`; did you mean `bucket`?"),
        (json!({"timeout": 0}), "invalid `timeout`"),
    ] {
        let error = run(&server, config).await.unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
}
