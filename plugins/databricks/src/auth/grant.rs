//! A token for a form: the one request that all OAuth flows have in common.

use std::time::SystemTime;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{Credentials, hide, request};
use mlflow_deploy_plugin_api::{Result, Secret};
use serde::Deserialize;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::auth::{Exchange, Token};
use crate::options::Options;

/// A form, some fields of which nobody may see.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) secrets: Vec<(&'static str, Secret)>,
    /// Who asks, where that is not said in a field.
    pub(super) client: Option<(String, Secret)>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    /// Entra's older endpoint writes the number as a text.
    #[serde(default)]
    expires_in: Value,
}

/// Asks a token endpoint.
pub(super) async fn ask(exchange: &Exchange<'_>, url: &Url, form: Form) -> Result<Token> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut hidden: Vec<_> = form.secrets.iter().map(|(_, secret)| secret.clone()).collect();
    if let Some((id, secret)) = form.client {
        hidden.push(secret.clone());
        headers.insert(AUTHORIZATION, Credentials::Basic(id, secret).header()?);
    }
    let secrets = form.secrets.iter().map(|(name, secret)| (*name, secret.expose()));
    let fields = form.fields.iter().map(|(name, value)| (*name, value.as_str()));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.chain(secrets)).finish();
    let mut request = request(Method::POST, url, headers, body)?;
    hide(&mut request, hidden);
    let granted: Granted = exchange.json(&request).await?;
    let seconds = granted.expires_in.as_u64().or_else(|| granted.expires_in.as_str()?.parse().ok());
    let token = Token::new(Credentials::Bearer(granted.access_token));
    Ok(match seconds {
        Some(seconds) => token.until(SystemTime::now(), seconds),
        None => token,
    })
}

/// The scopes that are asked for: each once, in order, and all where none are given.
pub(super) fn scope(options: &Options) -> String {
    let given = options.scopes.as_deref().unwrap_or_default();
    let mut scopes: Vec<_> = given.split([',', ' ']).filter(|scope| !scope.is_empty()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() { "all-apis".to_owned() } else { scopes.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_list_in_any_form() {
        let scope = |scopes: &str| scope(&Options { scopes: Some(scopes.to_owned()), ..Options::default() });
        assert_eq!(scope(" b,a  b "), "a b");
        assert_eq!(scope(""), "all-apis");
    }
}
