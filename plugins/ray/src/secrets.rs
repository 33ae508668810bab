//! The secrets in the config of an application: the values of its environment variables, and the credentials in its URLs.

use mlflow_deploy_plugin_api::Secret;
use serde_json::{Map, Value};

/// Returns the values of all environment variables, and the credentials of all URLs, in an application's config.
pub(crate) fn secrets(config: &Value) -> Vec<Secret> {
    let mut found: Vec<_> = variables(config).map(Secret::new).collect();
    add_credentials(config, &mut found);
    found
}

/// Returns the values of all environment variables in an application's config.
pub(crate) fn variables(config: &Value) -> impl Iterator<Item = &str> {
    let actors = config["deployments"].as_array().into_iter().flatten().map(|each| &each["ray_actor_options"]);
    let environments = [config].into_iter().chain(actors).map(|each| &each["runtime_env"]["env_vars"]);
    environments.filter_map(Value::as_object).flat_map(Map::values).filter_map(Value::as_str)
}

/// Adds the credentials of all URLs in a document. The options of pip have URLs of package servers, for example.
fn add_credentials(document: &Value, found: &mut Vec<Secret>) {
    match document {
        Value::String(text) => found.extend(credentials(text).map(Secret::new)),
        Value::Array(items) => items.iter().for_each(|item| add_credentials(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| add_credentials(value, found)),
        _ => {}
    }
}

/// Returns the password of each URL in a text. A user without a password is a token in an `http` or `https` URL. In other
/// URLs, such as `git+ssh://git@host` and `abfss://container@account`, it is not a secret.
fn credentials(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("://").filter_map(|(start, separator)| {
        let (scheme, rest) = (&text[..start], &text[start + separator.len()..]);
        let ends = |each: char| each.is_whitespace() || matches!(each, '/' | '?' | '#' | '"' | '\'');
        let (user, _host) = rest.split(ends).next()?.rsplit_once('@')?;
        let secret = match user.split_once(':') {
            Some((_, password)) => password,
            None if scheme.ends_with("http") || scheme.ends_with("https") => user,
            None => return None,
        };
        Some(secret).filter(|secret| !secret.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_in_urls_are_secrets() {
        for (text, expected) in [
            ("--index-url=https://user:pass@host/simple", vec!["pass"]),
            ("--extra-index-url https://t0ken@host --find-links http://a:b@c", vec!["t0ken", "b"]),
            ("model @ git+https://t0ken@host/model.git@v1", vec!["t0ken"]),
            ("git+ssh://git@host/model.git", vec![]),
            ("abfss://container@account/model", vec![]),
            ("s3://key:secret@bucket/model", vec!["secret"]),
            ("https://host/simple?a=b@c", vec![]),
            ("https://user:@host", vec![]),
            ("numpy", vec![]),
        ] {
            assert_eq!(credentials(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
