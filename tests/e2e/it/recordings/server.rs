//! Replays the recorded responses of MLflow's standalone gateway. Checks that this project's client accepts them.

use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

use super::{outcome, recordings};
use crate::command::mlflow_deploy;

#[test]
fn client_accepts_responses_of_the_standalone_gateway() {
    let cases = recordings("gs_");
    let unknown = cases.iter().find(|case| case["name"] == "gs_get_endpoint_404").unwrap();
    let failing: Vec<_> = cases.iter().filter_map(|case| replay(case, answer(unknown)).err()).collect();
    println!(
        "server recordings: {} passing, 0 deliberately different, {} failing",
        cases.len() - failing.len(),
        failing.len()
    );
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

/// Returns the recorded response of a recording.
fn answer(case: &Value) -> Answer {
    let response = &case["response"];
    let headers = response["headers"].as_array().unwrap();
    let body = response["body"].as_str().unwrap_or_default();
    if body == "<<INCOMPLETE>>" {
        return Answer::chunks(Vec::<Vec<u8>>::new()).header("content-type", "text/event-stream").abort_after_chunks();
    }
    let kept = headers.iter().filter(|pair| pair[0] == "content-type");
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    kept.fold(Answer::new(status, body), |answer, pair| answer.header("content-type", pair[1].as_str().unwrap()))
}

/// Makes the recorded call again with a server that sends the recorded response. Returns an error message if the result
/// differs from the recorded one. `unknown_endpoint` is the response to a request for an unknown endpoint.
fn replay(case: &Value, unknown_endpoint: Answer) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    let response: Value =
        serde_json::from_str(case["response"]["body"].as_str().unwrap_or_default()).unwrap_or(Value::Null);
    // Only one page of the list is recorded, so the server adds a last page.
    let last_page = Answer::new(200, r#"{"endpoints": [], "next_page_token": null}"#);
    let pages =
        if response["next_page_token"].is_string() { vec![answer(case), last_page] } else { vec![answer(case)] };
    // After a prediction for an unknown endpoint, the client requests the endpoint.
    let server = Server::start(pages);
    let server = if name == "gs_unknown_endpoint" {
        server.with_route("/api/2.0/endpoints/nope", unknown_endpoint)
    } else {
        server
    };
    let request = &case["request"];
    let (path, body) = (request["path"].as_str().unwrap(), &request["body"]);
    let steps: Vec<_> = path.split('/').collect();
    let mut run = mlflow_deploy("--json").plugin("mlflow-deploy-gateway").env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0");
    run = match steps.as_slice() {
        ["", "endpoints" | "gateway", endpoint, "invocations"] => {
            let inputs = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            let run = run.arg("predict").arg("-I").arg("-").arg("--endpoint").arg(endpoint).stdin(inputs);
            if body["stream"] == true { run.arg("--stream") } else { run }
        }
        ["", "api", "2.0", "endpoints", endpoint] if !endpoint.is_empty() && !endpoint.starts_with('?') => {
            run.arg("get-endpoint").arg("--endpoint").arg(endpoint)
        }
        _ => run.arg("list-endpoints"),
    };
    let ran = run.arg("--target").arg(server.url()).run();
    let status = &case["response"]["status"];
    match outcome(&ran) {
        Ok(result) if body["stream"] == true => {
            let events = case["response"]["body"].as_str().unwrap().lines();
            let data: Vec<Value> =
                events.filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
            if data == [result.clone()] { Ok(()) } else { Err(format!("{name}: {result} for {data:?}")) }
        }
        Ok(result) if status == 200 => {
            let expected = response.get("endpoints").unwrap_or(&response);
            let names = |value: &Value| match value {
                Value::Array(records) => records.iter().map(|record| record["name"].clone()).collect(),
                record => json!(record.get("name").unwrap_or(record)),
            };
            if names(&result) == names(expected) { Ok(()) } else { Err(format!("{name}: {result} for {expected}")) }
        }
        Err(error) if status == 200 && body["stream"] == true && ran.code == 1 => match &error["message"] {
            Value::String(message) if !message.is_empty() => Ok(()),
            _ => Err(format!("{name}: an error without words: {error}")),
        },
        Err(error) if &error["http"]["status"] == status => match response["detail"].as_str() {
            Some(detail) if !error.to_string().contains(detail) && detail != "Not Found" => {
                Err(format!("{name}: `{detail}` is not in {error}"))
            }
            _ => Ok(()),
        },
        other => Err(format!("{name}: {other:?} for status {status}")),
    }
}
