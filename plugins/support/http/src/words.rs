//! What a server says in the body of an error, in whichever dialect, with nothing secret left in it.

use mlflow_deploy_plugin_api::Redactor;
use serde_json::Value;

/// As much of a body is kept.
const MAX_BODY: usize = 2048;

/// As much of a server's own message becomes part of ours.
const MAX_MESSAGE: usize = 500;

/// What the body of an error says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Words {
    /// The server's message on one line, where there is one.
    pub(crate) message: Option<String>,
    /// The server's own code, such as MLflow's `RESOURCE_DOES_NOT_EXIST` and OpenAI's `invalid_api_key`.
    pub(crate) error_code: Option<String>,
}

impl Words {
    /// Reads a body: JSON in one of the known dialects, a web page, or text.
    pub(crate) fn read(body: &str, redactor: &Redactor) -> Self {
        let body = body.trim();
        match serde_json::from_str::<Value>(body) {
            Ok(value @ Value::Object(_)) => Self {
                message: message(&value).map(|message| one_line(&message, redactor)),
                error_code: error_code(&value).map(|code| redactor.hide(code)),
            },
            _ if is_html(body) => Self { message: Some(page(body, redactor)), error_code: None },
            _ if body.is_empty() => Self::default(),
            _ => Self { message: Some(one_line(body, redactor)), error_code: None },
        }
    }
}

/// Whether a body is a web page, which no API answers.
pub(crate) fn is_html(body: &str) -> bool {
    let start: String = body.trim_start().chars().take(15).collect::<String>().to_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// A body as it is kept in an error: without secrets, and cut.
pub(crate) fn keep(body: &str, redactor: &Redactor) -> String {
    cut(redactor.hide(body), MAX_BODY)
}

/// `{"detail"}`, `{"error"}` and `{"message"}`, each a text or an object with one of them in it.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        // OAuth gives a word and a sentence, and both are of use.
        Value::Object(members) if members.contains_key("error_description") => {
            let texts = ["error", "error_description"].iter().filter_map(|name| members.get(*name)?.as_str());
            Some(texts.collect::<Vec<_>>().join(": "))
        }
        Value::Object(members) => {
            ["message", "detail", "error", "msg"].iter().find_map(|name| message(members.get(*name)?))
        }
        // FastAPI lists what is wrong with a request, each with the place it is wrong in.
        Value::Array(faults) => {
            let each = faults.iter().filter_map(|fault| Some(place(&fault["loc"]) + &message(fault)?));
            let all = each.collect::<Vec<_>>().join("; ");
            (!all.is_empty()).then_some(all)
        }
        _ => None,
    }
}

/// `["body", "messages", 0]` as ``"`body.messages.0`: "``.
fn place(loc: &Value) -> String {
    let words = loc.as_array().into_iter().flatten();
    let words: Vec<_> = words.map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect();
    if words.is_empty() { String::new() } else { format!("`{}`: ", words.join(".")) }
}

/// MLflow's `error_code`, or the `code` or at least the `type` of OpenAI's `error`, which may stand without its wrapping.
fn error_code(value: &Value) -> Option<&str> {
    let own = [&value["error_code"], &value["detail"]["error_code"]];
    let own = own.into_iter().find_map(|code| code.as_str().filter(|code| is_code(code)));
    let error = [&value["error"]["code"], &value["error"]["type"], &value["code"]];
    own.or_else(|| error.into_iter().find_map(|code| code.as_str().filter(|code| !code.is_empty())))
}

/// Whether a text is a code of MLflow's vocabulary.
pub(crate) fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|each| each.is_ascii_uppercase() || each == '_')
}

/// A web page comes from a proxy, a login, or a server that is not the target.
fn page(body: &str, redactor: &Redactor) -> String {
    let lower = body.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower[start..].find("</title>")? + start;
        Some(one_line(&body[start..end], redactor))
    });
    let hint = "check that the URL is the target's own and no login page or proxy is in the way";
    match title {
        Some(title) => format!("a web page titled `{title}`; {hint}"),
        None => format!("a web page; {hint}"),
    }
}

fn one_line(text: &str, redactor: &Redactor) -> String {
    cut(redactor.hide(text).split_whitespace().collect::<Vec<_>>().join(" "), MAX_MESSAGE)
}

/// What is cut is redacted already.
pub(crate) fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::Secret;

    use super::*;

    /// Reads what holds no secret.
    fn read(body: &str) -> Words {
        Words::read(body, &Redactor::new([]))
    }

    #[test]
    fn every_dialect_has_its_message() {
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
            ("Internal Server Error", "Internal Server Error"),
            ("Bad request: rpc error: code = X", "Bad request: rpc error: code = X"),
        ] {
            assert_eq!(read(body).message.as_deref(), Some(message), "{body}");
        }
        assert_eq!(read(" "), Words::default());
        assert_eq!(read(r#"{"a":1}"#), Words::default());
    }

    #[test]
    fn a_code_is_taken_where_it_is_one() {
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
    fn a_web_page_is_named_by_its_title() {
        let message = read("<!DOCTYPE html><html><head><TITLE>\n Sign in\n</TITLE>").message.unwrap();
        assert!(message.starts_with("a web page titled `Sign in`; check that"), "{message}");
        assert!(read("<html><title>open").message.unwrap().starts_with("a web page; "));
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let kept = keep(&"é".repeat(3000), &Redactor::new([]));
        assert!(kept.ends_with('…') && kept.len() <= MAX_BODY + '…'.len_utf8());
    }

    #[test]
    fn a_secret_that_crosses_the_cut_is_hidden_whole() {
        for length in [MAX_MESSAGE, MAX_BODY].map(|longest| longest + 100) {
            let token = "t0k3n-".repeat(length / 6);
            let redactor = Redactor::new([Secret::new(&token)]);
            for body in [
                format!("no: {token}."),
                format!("{}{token}.", ". ".repeat(240)),
                format!("{}{token}.", ". ".repeat(1020)),
                format!("<html><title>no: {token}</title>"),
                serde_json::json!({"message": format!("no: {token}.")}).to_string(),
            ] {
                let shown = format!("{:?} {}", Words::read(&body, &redactor), keep(&body, &redactor));
                assert!(!shown.contains("t0k3n-"), "{shown}");
            }
        }
    }
}
