//! Servers for the conformance tests of the plugins in this repository. A server replies to a request at once or never.

use std::time::Duration;

use mlflow_deploy_test_support::server::{Answer, Request, Server};
use serde_json::{Value, json};

/// A delay that is longer than any timeout of the tests.
const NEVER: Duration = Duration::from_secs(3600);

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

fn no(status: u16, body: &Value) -> Answer {
    Answer::new(status, body.to_string())
}

/// Returns a chat completion as the response to a request. The response is a stream if the request asks for a stream.
fn completion(request: &Request) -> Answer {
    if body(request)["stream"] == true {
        let piece =
            |number: u32| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": number}}]}));
        return Answer::chunks((0..12).map(piece).chain(["data: [DONE]\n\n".to_owned()]));
    }
    Answer::new(200, json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]}).to_string())
}

/// Starts a server with the API of MLflow's gateway. It serves the endpoints `chat` and `slow`. It never replies to a
/// prediction by `slow`.
pub(super) fn gateway() -> Server {
    Server::answering(|request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let chat = json!({
            "name": "chat", "endpoint_type": "llm/v1/chat", "model": {"name": "m", "provider": "openai"},
            "endpoint_url": "/endpoints/chat/invocations", "limit": null,
        });
        match (request.method.as_str(), path) {
            ("GET", "/api/2.0/endpoints/") => Answer::new(200, json!({"endpoints": [chat]}).to_string()),
            ("GET", "/api/2.0/endpoints/chat") => Answer::new(200, chat.to_string()),
            ("GET", other) if other.starts_with("/api/2.0/endpoints/") => {
                no(404, &json!({"detail": "The endpoint is not present or active on the server."}))
            }
            ("POST", "/endpoints/chat/invocations") => completion(request),
            ("POST", "/endpoints/slow/invocations") => Answer::status(200).after(NEVER),
            _ => no(404, &json!({"detail": "Not Found"})),
        }
    })
}

/// Starts a server with OpenAI's API. It serves the models `chat` and `slow`. It never replies to a prediction by
/// `slow`.
pub(super) fn openai() -> Server {
    Server::answering(|request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let chat = json!({"id": "chat", "object": "model", "created": 1, "owned_by": "me"});
        match (request.method.as_str(), path) {
            ("GET", "/v1/models") => Answer::new(200, json!({"object": "list", "data": [chat]}).to_string()),
            ("GET", "/v1/models/chat") => Answer::new(200, chat.to_string()),
            ("POST", "/v1/chat/completions") if body(request)["model"] == "slow" => Answer::status(200).after(NEVER),
            ("POST", "/v1/chat/completions") => completion(request),
            _ => no(404, &json!({"error": {"message": "there is no such thing", "code": "model_not_found"}})),
        }
    })
}
