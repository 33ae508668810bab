//! Formats the errors of TOML files. The messages do not contain the values of the file, which may be secrets.

use mlflow_deploy_plugin_api::nearest;

/// Returns the message of a TOML error with the number of the line in `text`. Suggests the nearest known key.
pub(crate) fn invalid_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let message = without_value(&error.message().trim_end().replace('\n', ", "));
    let similar = similar_key(&message).map(|similar| format!("; did you mean `{similar}`?")).unwrap_or_default();
    format!("line {line}: {message}{similar}")
}

/// Returns serde's error message without the quoted string of a wrong value.
fn without_value(message: &str) -> String {
    match (message.find(": string \""), message.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => format!("{}: string{}", &message[..start], &message[end + 1..]),
        _ => message.to_owned(),
    }
}

/// Returns the expected key or value that is most similar to the unknown one of a message.
fn similar_key(message: &str) -> Option<&str> {
    let named = message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))?;
    let (unknown, expected) = named.split_once("`, expected ")?;
    nearest(unknown, expected.split('`').skip(1).step_by(2))
}
