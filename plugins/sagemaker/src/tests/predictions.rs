//! Predictions, whole and streamed, and their errors.

use mlflow_deploy_plugin_api::args::{Predict, PredictStream};
use mlflow_deploy_plugin_api::testing::natively;
use mlflow_deploy_plugin_api::{ErrorCode, Payload};
use mlflow_deploy_test_support::server::{Answer, Server};

use super::*;
use mlflow_deploy_test_support::aws::{frame, part};

fn client_of(server: &Server) -> SageMaker {
    client("sagemaker:/us-east-1", &json!({"max_retries": 0}), &[("AWS_ENDPOINT_URL", &server.url())]).unwrap()
}

fn inputs() -> Payload {
    Payload::new("application/json", r#"{"inputs": [1]}"#.as_bytes().to_vec())
}

#[tokio::test]
async fn a_prediction_is_signed_and_has_the_headers_of_its_config() {
    let server = Server::start([Answer::new(200, r#"{"predictions": [2]}"#)]);
    let config = Config::new(&json!({"target_variant": "two", "inference_id": "i"})).unwrap();
    let request = Predict::deployment("iris", inputs()).with_config(config);
    let answer = client_of(&server).predict(request).await.unwrap();
    assert_eq!(answer.bytes(), br#"{"predictions": [2]}"#);
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/endpoints/iris/invocations"));
    assert_eq!(request.header("x-amzn-sagemaker-target-variant"), Some("two"));
    let authorization = request.header("authorization").unwrap();
    assert!(
        authorization
            .contains("/us-east-1/sagemaker/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;")
    );
}

#[tokio::test]
async fn the_errors_of_predictions_have_the_code_of_their_kind() {
    let model = r#"{"OriginalStatusCode": 400, "OriginalMessage": "{\"error_code\": \"BAD_REQUEST\", \"message\": \"no column a\"}", "Message": "m"}"#;
    let missing = r#"{"Message": "Endpoint iris of account 1 not found."}"#;
    for (status, kind, body, code, message) in [
        (424, "ModelError:", model, ErrorCode::BAD_REQUEST, "the model answered with the status 400: no column a"),
        (
            400,
            "ValidationError:http://x",
            missing,
            ErrorCode::RESOURCE_DOES_NOT_EXIST,
            "the deployment `iris` does not exist",
        ),
        (
            400,
            "ThrottlingException:",
            r#"{"message": "slow"}"#,
            ErrorCode::RESOURCE_EXHAUSTED,
            "the prediction failed: ThrottlingException: slow",
        ),
    ] {
        let server = Server::start([Answer::new(status, body).header("x-amzn-ErrorType", kind)]);
        let error = client_of(&server).predict(Predict::deployment("iris", inputs())).await.unwrap_err();
        assert_eq!(error.code(), &code, "{error}");
        assert!(error.message().starts_with(message), "{error}");
    }
    let server = Server::start([Answer::status(500)]);
    let error = client_of(&server).predict(Predict::deployment("a/../b", inputs())).await.unwrap_err();
    assert!(error.message().starts_with("invalid name `a/../b`") && server.requests().is_empty(), "{error}");
}

/// Streams a prediction from a server that sends these frames. Returns the chunks, and the error at the end.
async fn stream(frames: Vec<Vec<u8>>, media_type: &str) -> (Vec<String>, Option<String>) {
    let answer = Answer::chunks(frames).header("Content-Type", "application/vnd.amazon.eventstream");
    let server = Server::start([answer.header("x-amzn-SageMaker-Content-Type", media_type)]);
    let (ended, chunks) = natively(&client_of(&server), PredictStream::deployment("iris", inputs())).await;
    assert_eq!(server.requests()[0].path, "/endpoints/iris/invocations-response-stream");
    let texts = chunks.iter().map(|chunk| String::from_utf8(chunk.bytes().to_vec()).unwrap());
    (texts.collect(), ended.err().map(|error| error.message().to_owned()))
}

#[tokio::test]
async fn the_parts_of_a_stream_arrive_as_chunks() {
    // A part ends anywhere, also in the middle of an event.
    let frames = vec![part("data: {\"a\": 1}\n\nda"), part("ta: {\"a\": 2}\n\n"), part("data: [DONE]\n\n")];
    let (chunks, error) = stream(frames, "text/event-stream").await;
    assert_eq!((chunks, error), (vec![r#"{"a": 1}"#.to_owned(), r#"{"a": 2}"#.to_owned()], None));
    let (chunks, error) = stream(vec![part("{\"a\": 1}\n{\"a\""), part(": 2}\n")], "application/jsonl").await;
    assert_eq!((chunks.len(), error), (2, None));
    let (chunks, error) = stream(vec![part("{\"predictions\": [1]}")], "application/json").await;
    assert_eq!((chunks, error), (vec![r#"{"predictions": [1]}"#.to_owned()], None));
}

#[tokio::test]
async fn a_stream_that_fails_or_is_cut_ends_with_an_error() {
    let exception = frame(
        &[(":message-type", "exception"), (":exception-type", "ModelStreamError")],
        br#"{"Message": "no memory"}"#,
    );
    let (chunks, error) = stream(vec![part("data: {\"a\": 1}\n\n"), exception], "text/event-stream").await;
    assert_eq!((chunks.len(), error.as_deref()), (1, Some("the stream ended with ModelStreamError: no memory")));
    let mut cut = part("data: {\"a\": 2}\n\n");
    cut.truncate(cut.len() - 5);
    let (chunks, error) = stream(vec![part("data: {\"a\": 1}\n\n"), cut], "text/event-stream").await;
    assert_eq!(chunks.len(), 1);
    assert!(error.unwrap().starts_with("the stream was cut: it ended in a frame"));
}
