//! `github-oidc`: the id token of a GitHub workflow, exchanged for a token of Databricks'.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use serde::Deserialize;
use url::Url;

use crate::auth::oidc::Federation;
use crate::auth::{Exchange, Given, Token};

#[derive(Debug)]
pub(crate) struct GithubOidc {
    /// Where GitHub gives id tokens, and the token to ask it with.
    url: String,
    token: Secret,
    federation: Federation,
}

#[derive(Deserialize)]
struct IdToken {
    value: Secret,
}

impl GithubOidc {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let url = given.environment.text("ACTIONS_ID_TOKEN_REQUEST_URL");
        let token = given.environment.secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
        let both = url.zip(token).filter(|_| given.options.client_id.is_some());
        Ok(both.map(|(url, token)| Self { url, token, federation: Federation::new(given) }))
    }

    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let mut url = Url::parse(&self.url).map_err(|error| {
            Error::invalid_parameter(format!("`ACTIONS_ID_TOKEN_REQUEST_URL` is not a URL: {error}"))
        })?;
        let audience = exchange.site.audience(exchange).await?;
        url.query_pairs_mut().append_pair("audience", &audience);
        let bearer = Credentials::Bearer(self.token.clone()).header()?;
        let id: IdToken = exchange.get(&url, HeaderMap::from_iter([(AUTHORIZATION, bearer)])).await?;
        self.federation.exchange(exchange, id.value).await
    }
}
