//! OAuth token requests, and the credential provider `oauth-m2m`: a Databricks service principal with a client secret.

use std::time::SystemTime;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{Credentials, hide, request};
use mlflow_deploy_plugin_api::{Result, Secret};
use serde::Deserialize;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::auth::{AuthClient, OidcDiscovery, ProviderContext, Token};
use crate::options::Options;

#[derive(Debug)]
pub(crate) struct OauthM2m {
    client_id: String,
    client_secret: Secret,
    scope: String,
}

impl OauthM2m {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let both = context.options.client_id.clone().zip(context.options.client_secret.clone());
        Ok(both.map(|(client_id, client_secret)| Self { client_id, client_secret, scope: scope(context.options) }))
    }

    pub(super) async fn token(&self, client: &AuthClient<'_>, oidc: &OidcDiscovery) -> Result<Token> {
        let form = TokenForm {
            fields: vec![("grant_type", "client_credentials".to_owned()), ("scope", self.scope.clone())],
            client: Some((self.client_id.clone(), self.client_secret.clone())),
            ..TokenForm::default()
        };
        request_token(client, oidc.token_endpoint(client).await?, form).await
    }
}

/// The form that a token request sends.
#[derive(Debug, Default)]
pub(super) struct TokenForm {
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) secrets: Vec<(&'static str, Secret)>,
    /// The client's id and secret, sent by HTTP basic authentication.
    pub(super) client: Option<(String, Secret)>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: Secret,
    /// The lifetime of the token in seconds. Entra's v1 endpoint writes it as a string.
    #[serde(default)]
    expires_in: Value,
}

/// Requests a token from the token endpoint at `url`.
pub(super) async fn request_token(client: &AuthClient<'_>, url: &Url, form: TokenForm) -> Result<Token> {
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
    let response: TokenResponse = client.json(&request, "a token").await?;
    let seconds = response.expires_in.as_u64().or_else(|| response.expires_in.as_str()?.parse().ok());
    let token = Token::new(Credentials::Bearer(response.access_token));
    Ok(match seconds {
        Some(seconds) => token.expires_after(SystemTime::now(), seconds),
        None => token,
    })
}

/// Returns the configured OAuth scopes, sorted and without duplicates. The default is `all-apis`.
pub(super) fn scope(options: &Options) -> String {
    let configured = options.scopes.as_deref().unwrap_or_default();
    let mut scopes: Vec<_> = configured.split([',', ' ']).filter(|scope| !scope.is_empty()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() { "all-apis".to_owned() } else { scopes.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_separated_by_commas_or_spaces() {
        let scope = |scopes: &str| scope(&Options { scopes: Some(scopes.to_owned()), ..Options::default() });
        assert_eq!(scope(" b,a  b "), "a b");
        assert_eq!(scope(""), "all-apis");
    }
}
