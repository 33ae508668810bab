//! Reads the server's message and error code in the body of an error response, and redacts secrets.

use mlflow_deploy_plugin_api::Redactor;
use serde_json::Value;

use crate::xml_error;

/// The maximum size of the part of an error response's body that an error contains, in bytes.
const MAX_BODY: usize = 2048;

/// The maximum length of a server's error message, in bytes.
const MAX_MESSAGE: usize = 500;

/// The server's message and error code in the body of an error response.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ErrorBody {
    /// The server's message, as one line of limited length.
    pub(crate) message: Option<String>,
    /// The server's error code, such as MLflow's `RESOURCE_DOES_NOT_EXIST` or OpenAI's `invalid_api_key`.
    pub(crate) error_code: Option<String>,
}

impl ErrorBody {
    /// Reads the body of an error response: JSON in one of the known formats, an object store's XML, a web page,
    /// or text.
    pub(crate) fn read(body: &str, redactor: &Redactor) -> Self {
        let body = body.trim();
        match serde_json::from_str::<Value>(body) {
            Ok(value @ Value::Object(_)) => Self::of(&value, redactor),
            Ok(value) if message(&value).is_some() => Self::of(&value, redactor),
            _ if let Some(error) = xml_error::read(body) => {
                Self { message: Some(one_line(&error.message, redactor)), error_code: Some(redactor.hide(&error.code)) }
            }
            _ if is_html(body) => Self { message: Some(page(body, redactor)), error_code: None },
            _ if body.is_empty() => Self::default(),
            _ => Self { message: Some(one_line(body, redactor)), error_code: None },
        }
    }

    /// Reads the message and the error code in a JSON body. Accepts an error inside a list, as Google's servers send
    /// it.
    pub(crate) fn of(value: &Value, redactor: &Redactor) -> Self {
        let error = match value.as_array().map(Vec::as_slice) {
            Some([only]) => only,
            _ => value,
        };
        Self {
            message: message(value).map(|message| one_line(&message, redactor)),
            error_code: error_code(error).map(|code| redactor.hide(code)),
        }
    }
}

/// Returns true if a response's body is an HTML page.
pub(crate) fn is_html(body: &str) -> bool {
    let start: String = body.trim_start().chars().take(15).collect::<String>().to_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// Returns the beginning of a response's body, with secrets redacted.
pub(crate) fn excerpt(body: &str, redactor: &Redactor) -> String {
    truncate(redactor.hide(body), MAX_BODY)
}

/// The JSON members that may contain the text of an error, in the order of preference. Some API gateways use names of
/// their own.
const TEXTS: [&str; 18] = [
    "message",
    "detail",
    "error",
    "msg",
    "error_message",
    "error_msg",
    "errorMessage",
    "errors",
    "status_msg",
    "base_resp",
    "Message",
    "OriginalMessage",
    "Error",
    "header",
    "fault",
    "faultstring",
    "text",
    "body",
];

/// Returns the error message in a JSON value. The message is a string, or the string in a nested member such as
/// `detail`, `error` or `message`. Joins the messages of a list.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        // OAuth sends a code and a sentence.
        Value::Object(members) if members.contains_key("error_description") => {
            let texts = ["error", "error_description"].iter().filter_map(|name| members.get(*name)?.as_str());
            Some(texts.collect::<Vec<_>>().join(": "))
        }
        Value::Object(members) => TEXTS.iter().find_map(|name| match members.get(*name)? {
            // AWS Lambda sends the JSON of an answer as a text.
            Value::String(text) if *name == "body" => {
                let inner = serde_json::from_str(text).ok().and_then(|inner| message(&inner));
                inner.or_else(|| message(&members[*name]))
            }
            member => message(member),
        }),
        // FastAPI sends a list of errors, each with its location in the request.
        Value::Array(errors) => {
            let each = errors.iter().filter_map(|error| Some(location(&error["loc"]) + &message(error)?));
            let all = each.collect::<Vec<_>>().join("; ");
            (!all.is_empty()).then_some(all)
        }
        _ => None,
    }
}

/// Formats the location of an error in a request: returns ``"`body.messages.0`: "`` for `["body", "messages", 0]`.
fn location(loc: &Value) -> String {
    let parts = loc.as_array().into_iter().flatten();
    let parts: Vec<_> = parts.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
    if parts.is_empty() { String::new() } else { format!("`{}`: ", parts.join(".")) }
}

/// Returns the error code in a JSON body: MLflow's `error_code`, or the `code` or `type` in OpenAI's `error` object.
/// Some servers send the members of this object without the object.
fn error_code(value: &Value) -> Option<&str> {
    let own = [&value["error_code"], &value["detail"]["error_code"]];
    let own = own.into_iter().find_map(|code| code.as_str().filter(|code| is_code(code)));
    let error = [
        &value["error"]["code"],
        &value["error"]["type"],
        &value["code"],
        &value["error_type"],
        &value["__type"],
        &value["ErrorCode"],
        &value["Error"]["Code"],
    ];
    let code = own.or_else(|| error.into_iter().find_map(|code| code.as_str().filter(|code| !code.is_empty())));
    // Some services of AWS put the name of a namespace before the code.
    code.map(|code| code.rsplit_once('#').map_or(code, |(_namespace, code)| code))
}

/// Returns true if a text has the form of MLflow's error codes, such as `BAD_REQUEST`.
pub(crate) fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|each| each.is_ascii_uppercase() || each == '_')
}

/// Describes a web page that was received in place of an answer, such as a login form or the page of a proxy.
fn page(body: &str, redactor: &Redactor) -> String {
    let lower = body.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower[start..].find("</title>")? + start;
        Some(one_line(&body[start..end], redactor))
    });
    let hint = "check that the URL is the target's, and not that of a login page or proxy";
    match title {
        Some(title) => format!("a web page titled `{title}`; {hint}"),
        None => format!("a web page; {hint}"),
    }
}

fn one_line(text: &str, redactor: &Redactor) -> String {
    truncate(redactor.hide(text).split_whitespace().collect::<Vec<_>>().join(" "), MAX_MESSAGE)
}

/// Shortens a text to at most `max` bytes and marks the cut with `…`. Secrets in the text must be redacted already,
/// because a cut secret is not recognized.
pub(crate) fn truncate(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::Secret;

    use super::*;

    /// Reads the body of an error response that contains no secrets.
    fn read(body: &str) -> ErrorBody {
        ErrorBody::read(body, &Redactor::new([]))
    }

    #[test]
    fn the_message_of_every_known_format_is_read() {
        for (body, message) in [
            (r#"{"detail":"up 404"}"#, "up 404"),
            (r#"{"detail":{"error_code":"X","message":"no such"}}"#, "no such"),
            (
                r#"{"detail":[{"loc":["body","messages",0],"msg":"Field required"},{"msg":"bad"}]}"#,
                "`body.messages.0`: Field required; bad",
            ),
            (r#"{"error":"Rate limit exceeded"}"#, "Rate limit exceeded"),
            (r#"{"error":{"message":"boom","code":401}}"#, "boom"),
            (r#"{"error":"invalid_client","error_description":"no such client"}"#, "invalid_client: no such client"),
            (r#"{"object":"error","message":"m","code":40303}"#, "m"),
            (r#"{"error_code":"INVALID_STATE","message":"not\n ready"}"#, "not ready"),
            (r#"{"error_type":"BadRequest","error_message":"too long"}"#, "too long"),
            (r#"{"Message":"User is not authorized"}"#, "User is not authorized"),
            (r#"{"fault":{"faultstring":"Rate limit","detail":{"errorcode":"policies"}}}"#, "Rate limit"),
            (r#"[{"error":{"code":400,"message":"key not valid"}}]"#, "key not valid"),
            (r#""down for maintenance""#, "down for maintenance"),
            ("Internal Server Error", "Internal Server Error"),
            ("Bad request: rpc error: code = X", "Bad request: rpc error: code = X"),
        ] {
            assert_eq!(read(body).message.as_deref(), Some(message), "{body}");
        }
        assert_eq!(read(" "), ErrorBody::default());
        assert_eq!(read(r#"{"a":1}"#), ErrorBody::default());
    }

    #[test]
    fn an_error_code_is_read_if_it_is_valid() {
        let code = |body: &str| read(body).error_code;
        assert_eq!(code(r#"{"error_code":"INVALID_STATE","message":""}"#).as_deref(), Some("INVALID_STATE"));
        assert_eq!(code(r#"{"detail":{"error_code":"X"}}"#).as_deref(), Some("X"));
        assert_eq!(code(r#"{"error_code":"not a code"}"#), None);
        assert_eq!(code(r#"{"error_code":""}"#), None);
        let openai = r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"quota"}}"#;
        assert_eq!(code(openai).as_deref(), Some("quota"));
        assert_eq!(code(&openai.replace("\"quota\"", "401")).as_deref(), Some("insufficient_quota"));
        assert_eq!(code(r#"{"error":"code"}"#), None);
    }

    #[test]
    fn a_web_page_is_described_by_its_title() {
        let message = read("<!DOCTYPE html><html><head><TITLE>\n Sign in\n</TITLE>").message.unwrap();
        assert!(message.starts_with("a web page titled `Sign in`; check that"), "{message}");
        assert!(read("<html><title>open").message.unwrap().starts_with("a web page; "));
    }

    #[test]
    fn a_long_body_is_truncated_between_characters() {
        let kept = excerpt(&"é".repeat(3000), &Redactor::new([]));
        assert!(kept.ends_with('…') && kept.len() <= MAX_BODY + '…'.len_utf8());
    }

    #[test]
    fn a_secret_across_the_limit_is_redacted_entirely() {
        for length in [MAX_MESSAGE, MAX_BODY].map(|limit| limit + 100) {
            let token = "t0k3n-".repeat(length / 6);
            let redactor = Redactor::new([Secret::new(&token)]);
            for body in [
                format!("no: {token}."),
                format!("{}{token}.", ". ".repeat(240)),
                format!("{}{token}.", ". ".repeat(1020)),
                format!("<html><title>no: {token}</title>"),
                serde_json::json!({"message": format!("no: {token}.")}).to_string(),
            ] {
                let shown = format!("{:?} {}", ErrorBody::read(&body, &redactor), excerpt(&body, &redactor));
                assert!(!shown.contains("t0k3n-"), "{shown}");
            }
        }
    }
}
