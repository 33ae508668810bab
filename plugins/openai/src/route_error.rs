//! Distinguishes between a route that the server does not have and a model that does not exist. A server answers both
//! with a 404.
//!
//! For a missing model, OpenAI sends the error code `model_not_found`, and other servers send a sentence about the
//! model. For a missing route, the server's web framework sends one of a few known sentences, or a body that is not
//! JSON.

use mlflow_deploy_http::redact_url;
use mlflow_deploy_plugin_api::{Error, ErrorCode};
use serde_json::Value;
use url::Url;

use crate::server::{Dialect, Server};

/// Adds a hint about the base URL to `error` if the server does not have the requested route. `names_model` is false
/// for a request without a model, such as a list. A 404 for such a request always means that the route is missing.
pub(crate) fn explained(error: Error, server: &Server, names_model: bool) -> Error {
    let Some(http) = error.http().cloned() else { return error };
    let (code, reason) = match http.status {
        404 if names_model && !reports_missing_route(&http.body) => return error,
        404 | 405 => (ErrorCode::NOT_IMPLEMENTED, "the server does not have this route"),
        // LM Studio reports a missing route in this way, with a status of success.
        200..=299 if http.body.contains("Unexpected endpoint or method") => {
            (error.code().clone(), "the server does not have this route")
        }
        200..=299 if error.message().contains("a web page") => (error.code().clone(), "this is not a URL of the API"),
        _ => return error,
    };
    let message = format!("{}; {reason}: {}", error.message(), hint(server));
    let new = Error::new(code, message).with_http(http);
    match error.details().get("error_code").and_then(Value::as_str) {
        Some(own) => new.with_detail("error_code", own),
        None => new,
    }
}

fn hint(server: &Server) -> String {
    let base = redact_url(&server.base);
    match server.dialect {
        Dialect::Azure { .. } => {
            format!("the URL of the resource is `{base}`; expected one such as `https://NAME.openai.azure.com`")
        }
        Dialect::OpenAi if has_version(&server.base) => format!("check the base URL `{base}`"),
        Dialect::OpenAi => {
            format!("the base URL `{base}` may lack `/v1`: try `{}/v1`", base.trim_end_matches('/'))
        }
    }
}

/// Returns true if the path of the URL has a segment such as `v1` or `v1beta`.
fn has_version(base: &Url) -> bool {
    let is_version = |segment: &str| {
        segment.strip_prefix('v').is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()))
    };
    base.path().split('/').any(is_version)
}

/// Returns true if the body of a 404 response means that the route is missing, and not the model.
fn reports_missing_route(body: &str) -> bool {
    const SENTENCES: [&str; 4] = ["not found", "file not found", "resource not found", "404 page not found"];
    const PARTS: [&str; 7] = [
        "cannot post ",
        "cannot get ",
        "invalid url",
        "no route",
        "no static resource",
        "unknown request url",
        "requested url was not found",
    ];
    let Ok(Value::Object(body)) = serde_json::from_str(body) else { return true };
    let texts = ["detail", "message", "error", "msg"].iter().filter_map(|name| body.get(*name));
    let text = texts.filter_map(|value| value.as_str().or_else(|| value["message"].as_str())).next();
    let Some(text) = text.map(|text| text.trim().trim_end_matches('.').to_lowercase()) else { return body.is_empty() };
    SENTENCES.contains(&text.as_str()) || PARTS.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_route_is_told_from_a_missing_model() {
        for body in [
            r#"{"detail":"Not Found"}"#,
            r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#,
            r#"{"error":{"code":"404","message":"Resource not found"}}"#,
            r#"{"error":{"message":"Invalid URL (POST /v1/chat)","type":"invalid_request_error"}}"#,
            r#"{"message":"no Route matched with those values"}"#,
            r#"{"timestamp":"t","status":404,"error":"Not Found","path":"/chat/completions"}"#,
            "404 page not found",
            "<html><title>404 Not Found</title>",
            "<!DOCTYPE html><pre>Cannot POST /chat/completions</pre>",
            "",
            "{}",
        ] {
            assert!(reports_missing_route(body), "{body}");
        }
        for body in [
            r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
            r#"{"object":"error","message":"The model `x` does not exist.","code":404}"#,
            r#"{"error":{"message":"model \"x\" not found, try pulling it first"}}"#,
            r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
            r#"{"detail":"Model not found: x"}"#,
        ] {
            assert!(!reports_missing_route(body), "{body}");
        }
    }

    #[test]
    fn a_version_is_a_segment_of_the_path() {
        for (base, expected) in [
            ("http://h/v1", true),
            ("http://h/api/v3/", true),
            ("http://h/v1beta/openai", true),
            ("http://h/", false),
            ("http://h/vllm", false),
        ] {
            assert_eq!(has_version(&Url::parse(base).unwrap()), expected, "{base}");
        }
    }
}
