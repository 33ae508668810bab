//! Detects a failure that a server reports in the body of a response whose status is a success. A member `error` that
//! is empty or a number does not count, because it may belong to a model's result.
//!
//! Servers with OpenAI's protocol report a failure in different ways: `error` as a text or an object (OpenAI, LM
//! Studio, Triton), `error_type` and `error_message`, `error_code` (MLflow, Databricks; FastChat's is a number),
//! `"object": "error"` (vLLM), `detail` (FastAPI), an error in a choice (OpenRouter), `code` and `message` (Alibaba),
//! `success: false` (Cloudflare), `base_resp` (MiniMax), or a list of one error (Google). Clouds have names of their own:
//! `__type` (AWS), `ErrorCode` (SageMaker), `Error` (Azure), `header.code` (iFlytek), `ret` (Tencent), and `statusCode`
//! with the text of the answer in `body` (AWS Lambda behind a gateway).

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use http::StatusCode;
use mlflow_deploy_plugin_api::{Error, ErrorCode, HttpFailure, Redactor};
use serde_json::Value;

use crate::answer_json::{MAX_PART, outline, read_text};
use crate::attempt_error::code_of;
use crate::error_body::{ErrorBody, excerpt};

/// The JSON members that contain the result of a request. If the server failed, they are missing or empty.
const RESULTS: [&str; 6] = ["choices", "data", "embeddings", "output", "outputs", "predictions"];

/// The JSON members that contain the reason of a failure.
const REASONS: [&str; 9] =
    ["message", "msg", "detail", "error_message", "error_msg", "errorMessage", "errors", "Message", "OriginalMessage"];

/// The texts of which at least one is in the JSON of every answer that reports a failure. They are quoted if they are
/// also parts of common words.
const MARKS: [&str; 14] = [
    "\"__type\"",
    "\"header\"",
    "\"ret\"",
    "rror",
    "abort",
    "base_resp",
    "failed",
    "\"code\"",
    "\"detail\"",
    "\"status\"",
    "\"status_code\"",
    "\"statusCode\"",
    "\"success\"",
    "\\u00",
];

/// Returns the [`outline`] of an answer that may report a failure. Returns `null` for other valid answers, which do not
/// have to be parsed. A long answer is always parsed, because its outline is shorter than the answer.
///
/// # Errors
/// Fails as [`outline`] does.
pub(crate) fn outline_of_failure(body: &[u8]) -> Result<Value, String> {
    if may_report_failure(body) {
        outline(body)
    } else {
        read_text(body, |reader, _| reader.next_skip()).map(|()| Value::Null)
    }
}

/// Returns false if an answer certainly reports no failure, without parsing it.
pub(crate) fn may_report_failure(body: &[u8]) -> bool {
    /// Searches for all marks at once. `None` on a processor without the vector instructions that the search needs.
    static SEARCHER: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(MARKS));
    body.len() > MAX_PART || SEARCHER.as_ref().is_none_or(|searcher| searcher.find(body).is_some())
}

/// Returns the part of an answer that reports a failure: the answer itself, its member `response`, or one of its
/// choices. Returns `None` if the answer reports no failure. `answer` is an [`outline`] of the JSON.
pub(crate) fn reported_failure(answer: &Value) -> Option<&Value> {
    match answer {
        Value::Array(items) => match items.as_slice() {
            [only @ Value::Object(_)] => reported_failure(only),
            _ => None,
        },
        // In MLflow's protocol, the members beside `predictions` are the model's own.
        Value::Object(_) if has_content(&answer["predictions"]) => None,
        Value::Object(_) if answer["type"] == "response.failed" => Some(&answer["response"]),
        Value::Object(_) => {
            let is_failed_response = answer["object"] == "response" && answer["status"] == "failed";
            let is_error = answer["type"] == "error" || answer["object"] == "error";
            if is_failed_response || is_error || says(&answer["error"]) {
                return Some(answer);
            }
            let mut choices = answer["choices"].as_array().into_iter().flatten();
            let has_results = RESULTS.iter().any(|name| has_content(&answer[*name]));
            choices.find(|choice| is_failed_choice(choice)).or_else(|| {
                let is_failure =
                    !has_results && (has_error_code(answer) || has_cloud_error(answer) || has_status(answer));
                is_failure.then_some(answer)
            })
        }
        _ => None,
    }
}

/// Returns the error for a failure that an answer reports. `what` begins the message, `body` is the text of the answer,
/// and `status` is the status of the response. The code of the error corresponds to the HTTP status that the failure
/// contains, in one of its members or before a colon in its message.
pub(crate) fn failure_error(what: &str, failure: &Value, body: &str, status: StatusCode, redactor: &Redactor) -> Error {
    let ErrorBody { message, error_code } = ErrorBody::of(failure, redactor);
    let message = message.unwrap_or_else(|| match failure["finish_reason"].as_str() {
        Some(reason) => format!("the `finish_reason` is `{reason}`"),
        None => "no reason given".to_owned(),
    });
    let code = match status_in(failure).or_else(|| message.split_once(':')?.0.parse().ok()).map(StatusCode::from_u16) {
        Some(Ok(status)) if status.is_client_error() || status.is_server_error() => code_of(status),
        _ => ErrorCode::INTERNAL_ERROR,
    };
    let http = HttpFailure::new(status.as_u16(), excerpt(body, redactor));
    let error = Error::new(code, format!("{what}: {message}")).with_http(http);
    match error_code {
        Some(own) => error.with_detail("error_code", own),
        None => error,
    }
}

fn status_in(failure: &Value) -> Option<u16> {
    let error = &failure["error"];
    let named = [error, failure]
        .into_iter()
        .flat_map(|holder| ["code", "status", "status_code", "statusCode"].map(|name| &holder[name]));
    [error].into_iter().chain(named).find_map(|status| match status {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok().filter(|status| (400..600).contains(status)),
        Value::String(text) => text.parse().ok().filter(|status| (400..600).contains(status)),
        _ => None,
    })
}

/// Returns true if a choice in an answer reports a failure.
fn is_failed_choice(choice: &Value) -> bool {
    // Zhipu's `network_error` is one of several.
    let is_failure = |reason: &str| reason == "abort" || reason.contains("error");
    choice["finish_reason"].as_str().is_some_and(is_failure) || says(&choice["error"])
}

/// Returns true if an answer contains an error code or an error message. A number in `error_code` counts only if it is
/// not 0 and the answer also contains the reason of a failure.
fn has_error_code(answer: &Value) -> bool {
    let has_reason = has_reason(answer) || says(&answer["text"]);
    let is_code = |code: &Value| code.as_str().is_some_and(|code| says(&answer["error_code"]) && !is_success(code));
    is_code(&answer["error_code"])
        || has_reason && answer["error_code"].as_i64().is_some_and(|code| code != 0)
        || ["error_message", "error_msg", "errorMessage"].iter().any(|name| says(&answer[*name]))
        || answer["base_resp"]["status_code"].as_i64().is_some_and(|code| code != 0)
}

/// Returns true if an answer reports a failure with the names of a cloud. A code counts only beside its reason, because
/// a model's result may have a column of that name.
fn has_cloud_error(answer: &Value) -> bool {
    let is_exception = |name: &str| {
        name.contains('#') || ["Exception", "Error", "Failure", "Fault"].iter().any(|end| name.ends_with(end))
    };
    let is_proxied = || answer["statusCode"] == status_in(answer).unwrap_or_default() && says(&answer["body"]);
    answer["__type"].as_str().is_some_and(is_exception)
        || says(&answer["Error"])
        || has_reason(answer) && is_failure_code(&answer["ErrorCode"])
        || has_reason(&answer["header"]) && is_failure_code(&answer["header"]["code"])
        || is_proxied()
}

/// Returns true if a code is a text or an integer that does not mean success.
fn is_failure_code(code: &Value) -> bool {
    match code {
        Value::String(text) => !is_success(text.trim()),
        Value::Number(number) => number.as_i64().is_some_and(|code| code != 0 && !(200..300).contains(&code)),
        _ => false,
    }
}

/// Returns true if an answer reports a failure without an error code, such as with `success: false`. The answer must
/// also contain the reason of the failure. Returns false if it has an id or a name, because it is then a record.
fn has_status(answer: &Value) -> bool {
    if ["id", "name"].iter().any(|name| says(&answer[*name])) || !has_reason(answer) {
        return false;
    }
    let is_alone = answer.as_object().is_some_and(|members| members.len() == 1);
    let is_code =
        |code: &str| !is_success(code) && code.chars().all(|each| each.is_alphanumeric() || "_-.".contains(each));
    let is_number = |code: &Value| code.is_number() && is_failure_code(code);
    status_in(answer).is_some()
        || is_number(&answer["error"])
        || is_number(&answer["ret"])
        || answer["success"] == false
        || matches!(answer["status"].as_str(), Some("error" | "failed" | "failure"))
        || answer["code"].as_str().is_some_and(is_code)
        || answer["code"].as_i64().is_some_and(|code| !(0..400).contains(&code))
        || says(&answer["errors"])
        || is_alone && says(&answer["detail"])
}

fn is_success(code: &str) -> bool {
    matches!(code.to_ascii_lowercase().as_str(), "" | "0" | "200" | "none" | "no error" | "null" | "ok" | "success")
}

fn has_reason(answer: &Value) -> bool {
    REASONS.iter().any(|name| says(&answer[*name]))
}

/// Returns true if a value reports an error: it contains a text, `true`, or a `code` or `status` other than 0. Other
/// numbers do not count, because they may belong to a model's result. Servers in Go send `code: 0` with empty texts if
/// there is no error.
fn says(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => !is_success(text.trim()),
        Value::Array(items) => items.iter().any(says),
        Value::Object(members) => {
            members.values().any(says)
                || ["code", "status"].iter().any(|name| value[*name].as_i64().is_some_and(|code| code != 0))
        }
        Value::Null | Value::Number(_) => false,
    }
}

/// Returns true if a value is neither `null` nor empty.
fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the code and the message of the error that an answer reports.
    fn failure(body: &str) -> Option<(String, String)> {
        let answer = outline_of_failure(body.as_bytes()).unwrap();
        let redactor = Redactor::new([]);
        let error = failure_error("failed", reported_failure(&answer)?, body, StatusCode::OK, &redactor);
        Some((error.code().as_str().to_owned(), error.message().trim_start_matches("failed: ").to_owned()))
    }

    #[test]
    fn an_answer_that_reports_a_failure_is_one() {
        for (body, code, message) in [
            (r#"{"error":"no such route"}"#, "INTERNAL_ERROR", "no such route"),
            (
                r#"{"choices":[{"index":0,"finish_reason":"network_error"}]}"#,
                "INTERNAL_ERROR",
                "the `finish_reason` is `network_error`",
            ),
            (r#"{"error":{"message":"slow down","code":429}}"#, "RESOURCE_EXHAUSTED", "slow down"),
            (r#"{"error":{"message":"no key","code":"401"}}"#, "UNAUTHENTICATED", "no key"),
            (r#"{"choices":[],"error":{"message":"","code":500}}"#, "INTERNAL_ERROR", "no reason given"),
            (r#"{"error":true,"message":"down"}"#, "INTERNAL_ERROR", "down"),
            (r#"{"error":503,"message":"down"}"#, "TEMPORARILY_UNAVAILABLE", "down"),
            (r#"{"choices":null,"error_type":"BadRequest","error_message":"too long"}"#, "INTERNAL_ERROR", "too long"),
            (r#"{"error_code":"INVALID_STATE","message":"not ready"}"#, "INTERNAL_ERROR", "not ready"),
            (r#"{"text":"**NETWORK ERROR**","error_code":50001}"#, "INTERNAL_ERROR", "**NETWORK ERROR**"),
            (r#"{"error_code":336003,"error_msg":"messages is empty"}"#, "INTERNAL_ERROR", "messages is empty"),
            (r#"{"object":"error","message":"max tokens","code":400}"#, "BAD_REQUEST", "max tokens"),
            (r#"{"detail":"Internal failure"}"#, "INTERNAL_ERROR", "Internal failure"),
            (r#"{"detail":[{"loc":["body","n"],"msg":"required"}]}"#, "INTERNAL_ERROR", "`body.n`: required"),
            (r#"{"type":"about:blank","status":403,"detail":"no quota"}"#, "PERMISSION_DENIED", "no quota"),
            (r#"{"code":"InvalidParameter","message":"bad","request_id":"r"}"#, "INTERNAL_ERROR", "bad"),
            (r#"{"code":500,"msg":"crashed","success":false}"#, "INTERNAL_ERROR", "crashed"),
            (r#"{"statusCode":401,"message":"denied"}"#, "UNAUTHENTICATED", "denied"),
            (
                r#"{"success":false,"errors":[{"code":7003,"message":"no model"}],"result":null}"#,
                "INTERNAL_ERROR",
                "no model",
            ),
            (r#"{"data":null,"errors":[{"message":"no field"}]}"#, "INTERNAL_ERROR", "no field"),
            (r#"{"status":"error","message":"crashed"}"#, "INTERNAL_ERROR", "crashed"),
            (
                r#"{"choices":null,"base_resp":{"status_code":1004,"status_msg":"login fail"}}"#,
                "INTERNAL_ERROR",
                "login fail",
            ),
            (
                r#"[{"error":{"code":400,"message":"API key not valid","status":"INVALID"}}]"#,
                "BAD_REQUEST",
                "API key not valid",
            ),
            (
                r#"{"choices":[{"finish_reason":"error","error":{"code":502,"message":"died"}}]}"#,
                "TEMPORARILY_UNAVAILABLE",
                "died",
            ),
            (
                r#"{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}"#,
                "INTERNAL_ERROR",
                "the `finish_reason` is `error`",
            ),
            (
                r#"{"id":"r","object":"response","status":"failed","error":{"code":"x","message":"late"}}"#,
                "INTERNAL_ERROR",
                "late",
            ),
            (r#"{"type":"response.failed","response":{"error":{"message":"late"}}}"#, "INTERNAL_ERROR", "late"),
            (r#"{"errorMessage":"timed out","errorType":"Sandbox"}"#, "INTERNAL_ERROR", "timed out"),
            (r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#, "INTERNAL_ERROR", "Rate exceeded"),
            (r#"{"__type":"com.amazon.coral#UnknownOperation"}"#, "INTERNAL_ERROR", "no reason given"),
            (r#"{"ErrorCode":"MODEL_TIMEOUT","Message":"no reply"}"#, "INTERNAL_ERROR", "no reply"),
            (r#"{"ErrorCode":"INTERNAL","OriginalMessage":"out of memory"}"#, "INTERNAL_ERROR", "out of memory"),
            (r#"{"header":{"code":10013,"message":"refused","sid":"s"}}"#, "INTERNAL_ERROR", "refused"),
            (r#"{"header":{"code":"ERROR","message":"no app"},"payload":{}}"#, "INTERNAL_ERROR", "no app"),
            (r#"{"statusCode":503,"body":"cold start"}"#, "TEMPORARILY_UNAVAILABLE", "cold start"),
            (r#"{"statusCode":400,"headers":{},"body":"{\"message\":\"no text\"}"}"#, "BAD_REQUEST", "no text"),
            (r#"{"Error":{"Code":"Denied","Message":"no access"}}"#, "INTERNAL_ERROR", "no access"),
            (r#"{"Error":"no such model"}"#, "INTERNAL_ERROR", "no such model"),
            (r#"{"error":-1,"message":"queue is full"}"#, "INTERNAL_ERROR", "queue is full"),
            (r#"{"ret":1001,"msg":"quota exceeded"}"#, "INTERNAL_ERROR", "quota exceeded"),
            (r#"{"success":false,"message":"no worker"}"#, "INTERNAL_ERROR", "no worker"),
        ] {
            assert_eq!(failure(body), Some((code.to_owned(), message.to_owned())), "{body}");
        }
    }

    #[test]
    fn an_escaped_name_and_a_long_answer_are_parsed() {
        let escaped = r#"{"\u0065\u0072\u0072\u006fr":"down"}"#;
        let long = format!(r#"{{"error":"down","other":"{}"}}"#, "x".repeat(MAX_PART));
        for body in [escaped, &long] {
            assert!(failure(body).is_some_and(|(_, message)| message == "down"), "{body}");
        }
        let usual = r#"{"object":"chat.completion","choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
        assert!(!may_report_failure(usual.as_bytes()));
    }

    #[test]
    fn no_other_answer_is_a_failure() {
        for body in [
            r#"{"choices":[{"message":{"content":"the error: 500"},"finish_reason":"length"}],"error":null}"#,
            r#"{"choices":[],"error":""}"#,
            r#"{"choices":[],"error":{}}"#,
            r#"{"choices":[],"error":[]}"#,
            r#"{"choices":[],"error":false}"#,
            r#"{"choices":[{"delta":{"content":"a"},"error":null}],"error":{"message":"","type":"","code":null}}"#,
            r#"{"choices":[{"delta":{"content":"a"}}],"error":{"message":"","code":0}}"#,
            r#"{"choices":[{"text":"a"}],"error":{"code":0,"message":"success"}}"#,
            r#"{"choices":[{"text":"a"}],"error":"No error"}"#,
            r#"{"error":0.25}"#,
            r#"{"error":[0.1,0.2]}"#,
            r#"{"error":{"mae":0.1,"rmse":0.2}}"#,
            r#"{"predictions":[1],"error":"none found"}"#,
            r#"{"predictions":[{"error":"none found"}]}"#,
            r#"{"error_code":0,"message":"success","data":[]}"#,
            r#"{"error_code":"0","message":"success"}"#,
            r#"{"code":200,"message":"ok"}"#,
            r#"{"choices":[{"text":"a"}],"base_resp":{"status_code":0,"status_msg":"success"}}"#,
            r#"{"choices":[{"text":"a"}],"detail":"cached"}"#,
            r#"{"id":"m","status":"error","message":"not loaded"}"#,
            r#"{"message":"hello"}"#,
            r#"{"object":"response","status":"incomplete","error":null}"#,
            r#"[{"error":"a"},{"error":"b"}]"#,
            r#"{"error":-1}"#,
            r#"{"error":0,"message":"three matches"}"#,
            r#"{"error":0.5,"message":"mean"}"#,
            r#"{"error":-1,"message":"ok"}"#,
            r#"{"ret":7}"#,
            r#"{"ret":0,"msg":"three matches"}"#,
            r#"{"ret":0.7,"msg":"three matches"}"#,
            r#"{"statusCode":200,"body":"{\"error\":\"none\"}"}"#,
            r#"{"statusCode":302,"body":"moved"}"#,
            r#"{"statusCode":500}"#,
            r#"{"header":{"code":0,"message":"three matches"},"payload":{"choices":{}}}"#,
            r#"{"header":{"code":10013}}"#,
            r#"{"header":"code"}"#,
            r#"{"ErrorCode":"E12","count":3}"#,
            r#"{"ErrorCode":0,"Message":"three matches"}"#,
            r#"{"Error":0.25}"#,
            r#"{"__type":"Date","message":"today"}"#,
            r#"{"predictions":[{"Error":"a","ret":1,"msg":"b","ErrorCode":"c","__type":"dException"}]}"#,
            r#"{"outputs":[1],"ret":1,"msg":"b","ErrorCode":"c"}"#,
            "null",
            "[]",
        ] {
            assert_eq!(failure(body), None, "{body}");
        }
    }
}
